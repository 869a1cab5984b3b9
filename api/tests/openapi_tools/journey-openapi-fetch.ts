// Uploads a file, waits until it is indexed, and finds it, with openapi-fetch and the types of openapi-typescript.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./paths-3.0.js";
import type { paths as paths31 } from "./paths-3.1.js";

const TEXT = "The tide turns at noon. The turbine blades are cleaned twice a year.";

const { BASE, TOKEN, WS } = process.env as Record<string, string>;
const options = { baseUrl: BASE!, headers: { authorization: `Bearer ${TOKEN}` } };
const client = createClient<paths>(options);
const path = { ws: WS! };

const accepted = await client.POST("/api/v1/workspaces/{ws}/files", {
  params: { path },
  // The generator has no type for the content of a file.
  body: { file: [TEXT] },
  bodySerializer(body) {
    const form = new FormData();
    for (const text of body.file) form.append("file", new File([text], "vanes.txt", { type: "text/plain" }));
    return form;
  },
});
assert(accepted.data, JSON.stringify(accepted.error));
let file: components["schemas"]["File"] = accepted.data.items[0]!;

const deadline = Date.now() + 120_000;
while (file.state === "queued" || file.state === "processing") {
  assert(Date.now() < deadline, file.state);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const current = await client.GET("/api/v1/workspaces/{ws}/files/{file}", { params: { path: { ...path, file: file.id } } });
  assert(current.data, JSON.stringify(current.error));
  file = current.data;
}
assert.equal(file.state, "ready");

const found = await client.POST("/api/v1/workspaces/{ws}/search", {
  params: { path },
  body: {
    query: "How often are the blades cleaned?",
    filter: { field: "name", op: "eq", value: "vanes.txt" },
    limit: 3,
    mode: "hybrid",
    explain: false,
    facets: [],
    hidden: [],
    boosts: [],
    pinned: [],
    verify: false,
  },
});
assert.equal(found.data?.hits[0]?.file.id, file.id);

const members = await createClient<paths31>(options).GET("/api/v1/workspaces/{ws}/members", { params: { path } });
assert.equal(members.data?.items[0]?.role, "owner");

const missing = await client.GET("/api/v1/workspaces/{ws}/files/{file}", { params: { path: { ...path, file: WS! } } });
assert.equal(missing.error?.code, "not_found");
