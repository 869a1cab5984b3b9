// Node's own resolution of modules needs extensions.
const output = (path) => ({ path, module: { extension: ".js" } });

export default [
  { input: "openapi.json", output: output("hey-api-3.0"), logs: { level: "warn" } },
  { input: "openapi-3.1.json", output: output("hey-api-3.1"), logs: { level: "warn" } },
];
