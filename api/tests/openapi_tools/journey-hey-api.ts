// Uploads a file, waits until it is indexed, and finds it, with the client that @hey-api/openapi-ts generated.

import assert from "node:assert/strict";
import { createClient } from "./hey-api-3.0/client/index.js";
import { listMembers, readFile, readFileText, search, uploadFiles } from "./hey-api-3.0/sdk.gen.js";
import type { AcceptedFile, File as IndexedFile, Filter, Invite, Member, Workspace } from "./hey-api-3.0/types.gen.js";
import type { Workspace as Workspace31 } from "./hey-api-3.1/types.gen.js";

const TEXT = "The tide turns at noon. The turbine blades are cleaned twice a year.";

const { BASE, TOKEN, WS } = process.env as Record<string, string>;
const client = createClient({ baseUrl: BASE!, auth: () => TOKEN! });
const path = { ws: WS! };

const upload = new File([TEXT], "blades.txt", { type: "text/plain" });
const described = { externalId: "drive/blades", tags: ["manual", "blades"], metadata: { site: { name: "Fall of Warness" } } };
const accepted = await uploadFiles({ client, path, body: { ...described, file: [upload] }, throwOnError: true });
const uploaded: AcceptedFile = accepted.data.items[0]!;
assert.deepEqual([uploaded.outcome, uploaded.externalId, uploaded.tags], ["created", "drive/blades", described.tags]);
assert.deepEqual(uploaded.metadata, described.metadata);
let file: IndexedFile = uploaded;

const deadline = Date.now() + 120_000;
while (file.state === "queued" || file.state === "processing") {
  assert(Date.now() < deadline, file.state);
  await new Promise((resolve) => setTimeout(resolve, 100));
  file = (await readFile({ client, path: { ...path, file: file.id }, throwOnError: true })).data;
}
assert.equal(file.state, "ready");

const filter: Filter = { and: [{ field: "name", op: "eq", value: "blades.txt" }] };
const body = { query: "How often are the blades cleaned?", filter };
const found = await search({ client, path, body, throwOnError: true });
assert.equal(found.data.hits[0]?.file.id, file.id);

const text = await readFileText({ client, path: { ...path, file: file.id }, throwOnError: true });
assert.equal(text.data, TEXT);

const members = await listMembers({ client, path, throwOnError: true });
const owner: Member = members.data.items[0]!;
assert.equal(owner.role, "owner");

const missing = await readFile({ client, path: { ...path, file: WS! } });
assert.equal(missing.error?.code, "not_found");

// The names that a variant of a role must not take.
export type Names = [Workspace, Invite["role"], Workspace31];
