//! A Milvus server of one test, with one user.
//!
//! The packages have Milvus up to 2.3, whose REST interface is of version 1; connections speak version 2. A gateway in the test translates
//! paths, and the form of a description; schema, ids, filters, vectors, users and failures are the server's.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    runtime::Handle,
};

use super::{
    TestApp, free_ports,
    vector_server::StoredRow,
    wait_until,
    web_server::{WebRequest, WebResponse, WebServer},
};

/// The identity of the server's first user, before and after the test has changed the password.
const USER: &str = "root";
const FIRST_PASSWORD: &str = "Milvus";
const PASSWORD: &str = "hunter2-milvus";
/// Types of fields, as the server numbers them.
const VARCHAR: u32 = 21;
const FLOAT_VECTOR: u32 = 101;
/// The server loads a collection within seconds; a busy machine takes longer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

pub struct Milvus {
    /// The address of REST, version 2.
    pub url: String,
    server: Server,
    _process: Child,
    folder: TempDir,
    /// Files that the server leaves outside its folder when it is killed.
    leftovers: Vec<PathBuf>,
}

impl Milvus {
    /// The key of a connection.
    pub fn key() -> String {
        format!("{USER}:{PASSWORD}")
    }

    pub async fn start() -> Self {
        let programs = std::env::var("NVISY_TEST_MILVUS").expect("NVISY_TEST_MILVUS, which `just test` sets");
        let (programs, folder) = (PathBuf::from(programs), tempfile::tempdir().expect("a folder"));
        let program = programs.join("milvus");
        assert!(program.exists(), "{} is missing: `deploy/quickstart/services milvus` unpacks it", program.display());
        let ports: [u16; 12] = free_ports();
        configure(&programs, folder.path(), &ports);
        let [rest, management, ..] = ports;
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let process = Command::new(program)
            .args(["run", "standalone", &format!("--alias={rest}")])
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .env("PATH", "/usr/bin:/bin")
            .env("LD_LIBRARY_PATH", &programs)
            .env("MILVUSCONF", folder.path().join("configs"))
            .env("METRICS_PORT", management.to_string())
            .env("ETCD_CONFIG_PATH", folder.path().join("configs/etcd.yaml"))
            // A query waits for all that was written before it.
            .env("COMMON_GRACEFULTIME", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("a started Milvus");
        let names = [format!("standalone-{rest}.pid"), format!("server_id_{}", process.id().unwrap_or_default())];
        let folders = ["/run/milvus", "/tmp/milvus"].map(Path::new);
        let leftovers = names.iter().flat_map(|name| folders.map(|folder| folder.join(name))).collect();
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let server = Server { client: TestApp::new_client(), rest: url(rest), management: url(management) };
        let gateway = WebServer::start().await;
        let router = Gateway(server.clone());
        gateway.respond(move |request| Some(Handle::current().block_on(router.respond(request))));
        let milvus = Self { url: gateway.url, server, _process: process, folder, leftovers };
        let server = &milvus.server;
        wait_until("Milvus is healthy", async || {
            let response = server.client.get(format!("{}/healthz", server.management)).send().await.ok()?;
            response.status().is_success().then_some(())
        })
        .await;
        let change = json!({
            "username": USER, "oldPassword": BASE64.encode(FIRST_PASSWORD), "newPassword": BASE64.encode(PASSWORD),
        });
        server.manage(Method::PATCH, "credential", &change).await;
        let again = json!({
            "username": USER, "oldPassword": BASE64.encode(PASSWORD), "newPassword": BASE64.encode(PASSWORD),
        });
        wait_until("Milvus accepts the password", async || {
            let collections = server.client.get(format!("{}/v1/vector/collections", server.rest));
            let response = collections.bearer_auth(Self::key()).send().await.ok()?;
            if response.status().is_success() {
                return Some(());
            }
            // The part that compares passwords is not told of a change that is made before it has joined.
            let change = server.client.request(Method::PATCH, format!("{}/api/v1/credential", server.management));
            let _ = change.json(&again).send().await;
            None
        })
        .await;
        milvus
    }

    /// Creates a collection with dynamic fields.
    pub async fn create(&self, collection: &str, dimension: usize) {
        self.server.create(collection, dimension).await;
    }

    /// The rows of a collection.
    pub async fn rows(&self, collection: &str) -> BTreeMap<String, StoredRow> {
        self.server.rows(collection).await
    }
}

/// The interfaces of the server.
#[derive(Clone)]
struct Server {
    client: Client,
    /// The address of REST, version 1.
    rest: String,
    /// The address of the interface that creates collections, which takes no password.
    management: String,
}

impl Server {
    async fn create(&self, collection: &str, dimension: usize) {
        let field = |name: &str, kind: u32, is_key: bool, key: &str, value: usize| {
            json!({
                "name": name, "data_type": kind, "is_primary_key": is_key,
                "type_params": [{ "key": key, "value": value.to_string() }],
            })
        };
        let fields =
            [field("id", VARCHAR, true, "max_length", 36), field("vector", FLOAT_VECTOR, false, "dim", dimension)];
        let schema = json!({ "name": collection, "enable_dynamic_field": true, "fields": fields });
        self.manage(Method::POST, "collection", &json!({ "collection_name": collection, "schema": schema })).await;
        let index = json!({
            "collection_name": collection, "field_name": "vector", "index_name": "vector",
            "extra_params": [
                { "key": "index_type", "value": "FLAT" }, { "key": "metric_type", "value": "COSINE" },
                { "key": "params", "value": "{}" },
            ],
        });
        self.manage(Method::POST, "index", &index).await;
        self.manage(Method::POST, "collection/load", &json!({ "collection_name": collection })).await;
        wait_until("the collection is loaded", async || {
            let url = format!("{}/v1/vector/collections/describe?collectionName={collection}", self.rest);
            let described = answered(self.client.get(url).bearer_auth(Milvus::key())).await;
            (described["data"]["load"] == "LoadStateLoaded").then_some(())
        })
        .await;
    }

    async fn rows(&self, collection: &str) -> BTreeMap<String, StoredRow> {
        let query = json!({
            "collectionName": collection, "filter": "id != \"\"", "outputFields": ["*"], "limit": 1000,
        });
        let request =
            self.client.post(format!("{}/v1/vector/query", self.rest)).bearer_auth(Milvus::key()).json(&query);
        let found = answered(request).await;
        assert_eq!(found["code"], 200, "{found}");
        let rows = found["data"].as_array().expect("rows").iter().map(|row| {
            let mut fields = row.as_object().expect("a row").clone();
            let id = fields.remove("id").and_then(|id| Some(id.as_str()?.to_owned())).expect("an id");
            let vector = fields.remove("vector").expect("a vector");
            let vector = vector.as_array().expect("numbers").iter().map(|one| one.as_f64().expect("a number"));
            (id, StoredRow { vector: vector.collect(), fields })
        });
        rows.collect()
    }

    async fn manage(&self, method: Method, path: &str, body: &Value) {
        let request = self.client.request(method, format!("{}/api/v1/{path}", self.management)).json(body);
        assert_eq!(answered(request).await, json!({}), "{path}");
    }
}

impl Drop for Milvus {
    fn drop(&mut self) {
        for file in &self.leftovers {
            let _ = fs::remove_file(file);
        }
        // The log tells why a test failed.
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the log of Milvus ends with:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

async fn answered(request: RequestBuilder) -> Value {
    let response = request.timeout(REQUEST_TIMEOUT).send().await.expect("a response of Milvus");
    let (status, text) = (response.status(), response.text().await.expect("a text"));
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text} is not JSON"))
}

/// Writes the settings of the server, and those of the etcd in its process.
fn configure(programs: &Path, folder: &Path, ports: &[u16; 12]) {
    let [rest, _, internal, root, query, query_node, index, index_node, data, data_node, etcd, peers] = ports;
    let path = |name: &str| folder.join(name).to_str().expect("a path of text").to_owned();
    let values = BTreeMap::from([
        ("proxy_port", rest.to_string()),
        ("proxy_internal_port", internal.to_string()),
        ("root_coord_port", root.to_string()),
        ("query_coord_port", query.to_string()),
        ("query_node_port", query_node.to_string()),
        ("index_coord_port", index.to_string()),
        ("index_node_port", index_node.to_string()),
        ("data_coord_port", data.to_string()),
        ("data_node_port", data_node.to_string()),
        ("etcd_port", etcd.to_string()),
        ("etcd_data_dir", path("etcd")),
        ("local_storage_dir", path("data")),
        ("rocksmq_data_dir", path("queue")),
        ("system_log_path", path("logs")),
        ("authorization_enabled", "true".to_owned()),
    ]);
    let template = fs::read_to_string(programs.join("config.yaml.template")).expect("the template of the settings");
    let configs = folder.join("configs");
    fs::create_dir(&configs).expect("a folder");
    fs::write(configs.join("milvus.yaml"), filled(&template, &values)).expect("a file");
    fs::copy(programs.join("glog.conf"), configs.join("glog.conf")).expect("a file");
    let etcd = format!(
        "name: default\n\
         listen-client-urls: http://127.0.0.1:{etcd}\n\
         advertise-client-urls: http://127.0.0.1:{etcd}\n\
         listen-peer-urls: http://127.0.0.1:{peers}\n\
         initial-advertise-peer-urls: http://127.0.0.1:{peers}\n\
         initial-cluster: default=http://127.0.0.1:{peers}\n"
    );
    fs::write(configs.join("etcd.yaml"), etcd).expect("a file");
}

/// A template with values in place of `{{ name(type): default }}`.
fn filled(template: &str, values: &BTreeMap<&str, String>) -> String {
    let mut parts = template.split("{{");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (place, rest) = part.split_once("}}").expect("the end of a place");
        let name = place.split(['(', ':']).next().unwrap_or_default().trim();
        let default = place.split_once(':').map(|(_, default)| default.trim());
        let value = values.get(name).map(String::as_str).or(default);
        text += value.unwrap_or_else(|| panic!("{name} has no value"));
        text += rest;
    }
    text
}

/// Translates requests of version 2 of the REST interface to version 1, and the responses back.
struct Gateway(Server);

impl Gateway {
    async fn respond(&self, request: &WebRequest) -> WebResponse {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let collection = body["collectionName"].as_str().unwrap_or_default();
        let Server { client, rest, .. } = &self.0;
        let url = |path: &str| format!("{rest}/v1/vector/{path}");
        let path = request.path().strip_prefix("/v2/vectordb/").unwrap_or_default();
        let forwarded = match path {
            "collections/create" => return self.create(collection, &body).await,
            "collections/list" => client.get(url("collections")),
            "collections/describe" => client.get(url(&format!("collections/describe?collectionName={collection}"))),
            "entities/upsert" => client.post(url("upsert")).json(&body),
            "entities/delete" => client.post(url("delete")).json(&body),
            _ => panic!("{} is no operation that writing needs", request.target),
        };
        let authorization = request.header("authorization");
        let response = forwarded.header("authorization", authorization).timeout(REQUEST_TIMEOUT).send().await;
        let response = response.expect("a response of Milvus");
        let status = response.status().as_u16();
        let mut response: Value = response.json().await.expect("JSON of Milvus");
        if response["code"] == 200 {
            response["code"] = json!(0);
            for field in response.pointer_mut("/data/fields").and_then(Value::as_array_mut).into_iter().flatten() {
                describe(field);
            }
        }
        WebResponse { status, ..WebResponse::json(&response) }
    }

    /// Version 1 has no texts as keys, so the other interface creates the collection: the one that this request asks for.
    async fn create(&self, collection: &str, body: &Value) -> WebResponse {
        let [metric, key] = ["metricType", "idType"].map(|field| body[field].as_str().unwrap_or_default());
        let length = body["params"]["max_length"].as_str().unwrap_or_default();
        assert_eq!((metric, key, length), ("COSINE", "VarChar", "36"), "{body}");
        let dimension = body["dimension"].as_u64().and_then(|dimension| usize::try_from(dimension).ok());
        self.0.create(collection, dimension.expect("a dimension")).await;
        WebResponse::json(&json!({ "code": 0, "data": {} }))
    }
}

/// Describes a field as version 2 does: `FloatVector` with the parameter `dim`, for `FloatVector(384)`.
fn describe(field: &mut Value) {
    let described = field["type"].as_str().and_then(|kind| kind.strip_suffix(')')?.split_once('('));
    let Some((kind, size)) = described.map(|(kind, size)| (kind.to_owned(), size.to_owned())) else { return };
    let key = if kind == "VarChar" { "max_length" } else { "dim" };
    field["params"] = json!([{ "key": key, "value": size }]);
    field["type"] = json!(kind);
}
