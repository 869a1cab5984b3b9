//! The examples of `docs/NODES.md` and `docs/MODEL_NODES.md`: each runs as it is printed, but for ids and addresses.

use std::{fs, path::PathBuf};

use actix_web::{App, HttpServer, web};
use serde_json::{Map, Value, json};

use crate::support::{ModelServer, TestAccount, TestApp, VectorServer, completion, part};

const KEY: &str = "hunter2-key";
/// The dimensions of the local model.
const DIMENSIONS: usize = 384;
const TEXT: &str = "# Termination\n\nAda Lovelace may end the contract 4711 for the tidal power station in writing, to \
                    office@example.org. It costs 1200 euros.\n";
const TABLE: &str = "<p>Prices</p><table><tr><th>part</th><th>price</th></tr><tr><td>rotor</td><td>9</td></tr></table>";

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The nodes in the code blocks of a document.
fn documented_nodes(document: &str) -> Vec<Map<String, Value>> {
    let text = fs::read_to_string(root().join("docs").join(document)).unwrap();
    let blocks = text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks
        .map(|block| serde_json::from_str(block).unwrap_or_else(|error| panic!("{document}: {error}: {block}")))
        .collect()
}

/// The smallest value that a JSON Schema allows.
fn instance(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or("object");
    match kind {
        "array" => json!([instance(&schema["items"])]),
        "string" => json!("tidal power station"),
        "integer" | "number" => json!(1),
        "boolean" => json!(true),
        _ => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            Value::Object(properties.map(|(name, property)| (name.clone(), instance(property))).collect())
        }
    }
}

/// A service of one's own that has seen each item.
async fn start_service() -> String {
    async fn step(request: web::Json<Value>) -> web::Json<Value> {
        let items = request["data"]["items"].as_array().cloned().unwrap_or_default();
        let seen = items.iter().map(|item| json!({ "id": item["id"], "metadata": { "seen": true } }));
        web::Json(json!({ "items": seen.collect::<Vec<_>>() }))
    }
    let limit = web::JsonConfig::default().limit(10_000_000);
    let server = HttpServer::new(move || App::new().app_data(limit.clone()).route("/", web::post().to(step)))
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let url = format!("http://{}/", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    url
}

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
    /// The description of each type: `GET /node-types`.
    types: Vec<Value>,
    service: String,
    model: String,
    folder: String,
    store: String,
    vectors: VectorServer,
    // Answers as long as it lives.
    _model_server: ModelServer,
}

impl Setup {
    async fn new(folder: &str) -> Self {
        let app = TestApp::start_with_worker(&[("NVISY_OUTBOUND_LOCAL_FOLDERS", folder)]).await;
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        let types = app.get(&ada, "/api/v1/node-types").await.expect(200)["items"].as_array().unwrap().clone();
        let model_server = ModelServer::start().await;
        model_server.respond(|request| {
            completion(&instance(&request.body["response_format"]["json_schema"]["schema"]).to_string())
        });
        let vectors = VectorServer::start(KEY, DIMENSIONS).await;
        let none = String::new;
        let mut setup = Self {
            app,
            ada,
            workspace,
            types,
            service: start_service().await,
            model: none(),
            folder: none(),
            store: none(),
            vectors,
            _model_server: model_server,
        };
        let model = json!({ "model": "m-1", "baseUrl": setup._model_server.base_url, "jsonMode": "schema" });
        setup.model = setup.connect("openai", model, json!({ "apiKey": KEY })).await;
        setup.folder = setup.connect("local_folder", json!({ "path": folder }), Value::Null).await;
        setup.store = setup.connect("qdrant", json!({ "baseUrl": setup.vectors.url }), json!({ "apiKey": KEY })).await;
        setup
    }

    fn path(&self, path: &str) -> String {
        format!("/api/v1/workspaces/{}/{path}", self.workspace)
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let response = self.app.post(&self.ada, &self.path(path), body).await;
        assert!(response.status.is_success(), "{path} {body}: {response:?}");
        serde_json::from_str(&response.text).unwrap()
    }

    async fn patch(&self, path: &str, body: &Value) -> Value {
        self.app.patch(&self.ada, &self.path(path), body).await.expect(200)
    }

    async fn connect(&self, provider: &str, settings: Value, credentials: Value) -> String {
        let mut body = json!({ "name": provider.replace('_', "-"), "provider": provider, "settings": settings });
        if !credentials.is_null() {
            body["credentials"] = credentials;
        }
        self.post("connections", &body).await["id"].as_str().unwrap().to_owned()
    }

    /// Uploads a file that the examples take, and waits until the built-in pipeline has indexed it.
    async fn upload(&self, name: &str, content: impl Into<Vec<u8>>) -> String {
        let accepted = self.app.upload(&self.ada, &self.workspace, vec![part(name, content)]).await.expect(202);
        let id = accepted["items"][0]["id"].as_str().unwrap().to_owned();
        self.app.finished_file(&self.ada, &self.workspace, &id).await;
        self.patch(&format!("files/{id}"), &json!({ "tags": ["contract"], "metadata": { "state": "final" } })).await;
        id
    }

    fn description(&self, kind: &str) -> &Value {
        self.types.iter().find(|of| of["type"] == kind).unwrap_or_else(|| panic!("there is no node type {kind}"))
    }

    /// Runs a node between nodes that give what it takes and write what it gives; returns the number of files that it led to.
    async fn run(&self, mut node: Map<String, Value>, file: &str) -> usize {
        let kind = node["type"].as_str().unwrap().to_owned();
        if node.get("connection").is_some_and(Value::is_string) {
            let connection = match kind.as_str() {
                "source.connection" => &self.folder,
                "sink.connection" => &self.store,
                _ => &self.model,
            };
            node["connection"] = json!(connection);
        }
        if kind == "sink.connection" {
            // The store of the test has one vector, without a name.
            node.remove("vectorField");
        }
        if let Some(url) = node.get_mut("url") {
            *url = json!(self.service);
        }
        let definition = self.definition(&kind, node);
        let run = if kind == "source.connection" {
            let created = self.post("pipelines", &json!({ "name": kind, "definition": definition })).await;
            let pipeline = format!("pipelines/{}", created["id"].as_str().unwrap());
            self.patch(&pipeline, &json!({ "state": "enabled" })).await;
            self.post(&format!("{pipeline}/runs"), &json!({})).await
        } else {
            let mut body = json!({ "definition": definition });
            if kind != "source.search" {
                body["files"] = json!([file]);
            }
            self.post("runs", &body).await
        };
        let run = run["id"].as_str().unwrap();
        let ended = self.app.ended_run(&self.ada, &self.path(&format!("runs/{run}"))).await;
        let items = self.app.get(&self.ada, &self.path(&format!("runs/{run}/items"))).await.expect(200);
        assert_eq!(ended["state"], "completed", "{kind}: {definition:#} {items:#}");
        let files = self.app.get(&self.ada, &self.path("files?limit=100")).await.expect(200);
        let suffix = format!(".{kind}.json");
        files["items"].as_array().unwrap().iter().filter(|one| one["name"].as_str().unwrap().ends_with(&suffix)).count()
    }

    fn definition(&self, kind: &str, node: Map<String, Value>) -> Value {
        let description = self.description(kind);
        let takes: Vec<_> = description["input"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let flow = ["document", "chunks", "bytes"].into_iter().find(|flow| takes.contains(flow));
        let flow = if takes.contains(&"vectors") && kind.starts_with("sink.") { Some("vectors") } else { flow };
        let read = json!({ "id": "read", "type": "partition" });
        let cut = json!({ "id": "cut", "type": "chunk.section", "maxTokens": 120 });
        let before = match flow {
            Some("document") => vec![read],
            Some("chunks") => vec![read, cut],
            Some("vectors") => vec![read, cut, json!({ "id": "vec", "type": "embed" })],
            _ => Vec::new(),
        };
        let mut nodes = if takes.is_empty() { Vec::new() } else { vec![json!({ "id": "in", "type": "source.files" })] };
        nodes.extend(before);
        nodes.push(Value::Object(node));
        let mut edges: Vec<_> =
            nodes.windows(2).map(|pair| json!({ "from": pair[0]["id"], "to": pair[1]["id"] })).collect();
        for (index, output) in description["outputs"].as_array().unwrap().iter().enumerate() {
            let port = format!("step.{}", output["name"].as_str().unwrap());
            let (sink, suffix) = (format!("out{index}"), format!(".{kind}.json"));
            nodes.push(match (output["flow"].as_str(), flow) {
                (Some("vectors"), _) | (None, Some("vectors")) => json!({ "id": sink, "type": "sink.collection" }),
                (Some("bytes"), _) | (None, Some("bytes")) => {
                    json!({ "id": sink, "type": "sink.file", "suffix": suffix })
                }
                _ => json!({ "id": sink, "type": "sink.file", "suffix": suffix, "format": "json" }),
            });
            edges.push(json!({ "from": port, "to": sink }));
        }
        json!({ "schemaVersion": 1, "nodes": nodes, "edges": edges })
    }
}

#[actix_web::test]
async fn every_documented_example_of_a_node_runs() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("contracts")).unwrap();
    let manual = fs::read(root().join("deploy/demo/operations-manual.pdf")).unwrap();
    fs::write(folder.path().join("contracts/manual.pdf"), &manual).unwrap();
    let setup = Setup::new(&folder.path().display().to_string()).await;
    let text = setup.upload("contract.md", TEXT).await;
    let pdf = setup.upload("manual.pdf", manual).await;
    let table = setup.upload("prices.html", TABLE).await;
    let image = setup.upload("turbine.png", b"\x89PNG\r\n\x1a\nrest".to_vec()).await;

    let pages = documented_nodes("NODES.md");
    let kinds: Vec<_> = pages.iter().map(|node| node["type"].clone()).collect();
    assert_eq!(kinds, setup.types.iter().map(|of| of["type"].clone()).collect::<Vec<_>>());
    let others = documented_nodes("MODEL_NODES.md");
    assert!(others.len() >= 10, "{others:?}");
    for node in pages.into_iter().chain(others) {
        let kind = node["type"].as_str().unwrap().to_owned();
        let file = match kind.as_str() {
            "source.files" => &pdf,
            "convert.table" | "enrich.table" => &table,
            "enrich.image" => &image,
            _ => &text,
        };
        let files = setup.run(node, file).await;
        let has_results = files > 0 || kind == "embed" || kind.starts_with("sink.");
        assert!(has_results, "{kind} led to no result");
    }
    let rows = setup.vectors.rows();
    assert!(!rows.is_empty() && rows.values().all(|row| row.fields["title"] == "contract.md"), "{rows:?}");
    setup.app.stop().await;
}
