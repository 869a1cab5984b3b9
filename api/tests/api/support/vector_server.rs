//! A server that speaks the REST interfaces of Qdrant, Weaviate, Milvus and Pinecone on a socket, as far as writing needs them, and fails
//! as a test needs it. No package has a server of Qdrant, Weaviate or Pinecone; that of Milvus is in `milvus.rs`. Requests and responses
//! follow the published interfaces.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::http_request::ReceivedRequest;

/// What a store has of a row: the vector, and the other fields.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRow {
    pub vector: Vec<f64>,
    pub fields: Map<String, Value>,
}

#[derive(Default)]
struct State {
    key: String,
    dimension: usize,
    rows: BTreeMap<String, StoredRow>,
    /// The next responses: status and body.
    failures: Vec<(u16, String)>,
}

/// One collection, `documents` (class `Documents`), of vectors of one dimension.
pub struct VectorServer {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl VectorServer {
    pub async fn start(key: &str, dimension: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State { key: key.to_owned(), dimension, ..State::default() }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let _ = serve(stream, &state).await;
                });
            }
        });
        Self { url, state }
    }

    pub fn rows(&self) -> BTreeMap<String, StoredRow> {
        self.state.lock().unwrap().rows.clone()
    }

    /// Answers the next requests so.
    pub fn fail(&self, times: usize, status: u16, body: &Value) {
        let failures = vec![(status, body.to_string()); times];
        self.state.lock().unwrap().failures.extend(failures);
    }

    pub fn set_key(&self, key: &str) {
        self.state.lock().unwrap().key = key.to_owned();
    }
}

async fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let Some(ReceivedRequest { head, body }) = ReceivedRequest::read(&mut stream).await else { return Ok(()) };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let (status, response) = {
        let mut state = state.lock().unwrap();
        match state.failures.pop() {
            Some(failure) => failure,
            None => {
                let (status, body) = respond(&mut state, &line, &head, &body);
                (status, body.to_string())
            }
        }
    };
    let length = response.len();
    let head = format!(
        "HTTP/1.1 {status} S\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{response}").as_bytes()).await?;
    stream.shutdown().await
}

fn respond(state: &mut State, line: &str, head: &str, body: &Value) -> (u16, Value) {
    let (method, path) = line.split_once(' ').unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let has = |header: String| head.lines().any(|line| line.eq_ignore_ascii_case(&header));
    let key = state.key.clone();
    let is_authorized = has(format!("api-key: {key}")) || has(format!("authorization: Bearer {key}"));
    match path.trim_start_matches('/').split('/').next().unwrap_or_default() {
        "collections" if !is_authorized => (401, json!({ "status": { "error": "Invalid API key" } })),
        "collections" => {
            let is_creation = line == "PUT /collections/documents";
            assert!(method == "GET" || is_creation || line.ends_with("?wait=true"), "{line}");
            qdrant(state, method, path, body)
        }
        "v1" if !is_authorized => (401, json!({ "code": 401, "message": "anonymous access not enabled" })),
        "v1" => weaviate(state, method, path, body),
        // Milvus says it in the body.
        "v2" if !is_authorized => (200, json!({ "code": 1800, "message": "user hasn't authenticated" })),
        "v2" => (200, milvus(state, path, body)),
        _ if !is_authorized || !head.to_ascii_lowercase().contains("x-pinecone-api-version: 20") => {
            (401, json!({ "error": { "code": "UNAUTHENTICATED", "message": "Invalid API Key" }, "status": 401 }))
        }
        _ => pinecone(state, path, body),
    }
}

/// Gives the collection vectors of this dimension.
fn create(state: &mut State, dimension: &Value) {
    state.dimension = dimension.as_u64().and_then(|dimension| usize::try_from(dimension).ok()).expect("a dimension");
}

/// Stores a row, unless its vector has another dimension.
fn put(state: &mut State, id: &Value, vector: &Value, fields: &Value) -> Result<(), String> {
    let vector: Vec<f64> = vector.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    if vector.len() != state.dimension {
        return Err(format!("Vector dimension error: expected dim: {}, got {}", state.dimension, vector.len()));
    }
    let id = id.as_str().expect("an id that is a text").to_owned();
    state.rows.insert(id, StoredRow { vector, fields: fields.as_object().cloned().unwrap_or_default() });
    Ok(())
}

fn delete<'a>(state: &mut State, ids: impl IntoIterator<Item = &'a Value>) {
    for id in ids {
        state.rows.remove(id.as_str().expect("an id that is a text"));
    }
}

fn qdrant(state: &mut State, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let ok = |result: Value| (200, json!({ "result": result, "status": "ok", "time": 0.001 }));
    match (method, path) {
        ("GET", "/collections") => ok(json!({ "collections": [{ "name": "documents" }] })),
        ("GET", "/collections/documents") => {
            let vectors = json!({ "size": state.dimension, "distance": "Cosine" });
            ok(json!({ "status": "green", "config": { "params": { "vectors": vectors } } }))
        }
        ("PUT", "/collections/documents") => {
            assert!(body["vectors"]["distance"].is_string(), "{body}");
            create(state, &body["vectors"]["size"]);
            ok(json!(true))
        }
        ("PUT", "/collections/documents/points") => {
            for point in body["points"].as_array().expect("points") {
                if let Err(error) = put(state, &point["id"], &point["vector"], &point["payload"]) {
                    return (400, json!({ "status": { "error": format!("Wrong input: {error}") } }));
                }
            }
            ok(json!({ "operation_id": 1, "status": "completed" }))
        }
        ("POST", "/collections/documents/points/delete") => {
            delete(state, body["points"].as_array().expect("points"));
            ok(json!({ "operation_id": 2, "status": "completed" }))
        }
        _ => (404, json!({ "status": { "error": "Not found: Collection doesn't exist!" } })),
    }
}

fn weaviate(state: &mut State, method: &str, path: &str, body: &Value) -> (u16, Value) {
    match (method, path) {
        ("GET", "/v1/schema") => (200, json!({ "classes": [{ "class": "Documents" }] })),
        ("POST", "/v1/schema") => {
            assert_eq!((&body["class"], &body["vectorizer"]), (&json!("Documents"), &json!("none")));
            (200, body.clone())
        }
        ("GET", "/v1/schema/Documents") => (200, json!({ "class": "Documents" })),
        ("POST", "/v1/batch/objects") => {
            let results = body["objects"].as_array().expect("objects").iter().map(|object| {
                let result = match put(state, &object["id"], &object["vector"], &object["properties"]) {
                    Ok(()) => json!({ "status": "SUCCESS" }),
                    Err(error) => json!({ "status": "FAILED", "errors": { "error": [{ "message": error }] } }),
                };
                json!({ "id": object["id"], "class": object["class"], "result": result })
            });
            (200, results.collect())
        }
        ("DELETE", "/v1/batch/objects") if body["match"]["class"] != "Documents" => (
            422,
            json!({ "error": [{ "message": "failed to find properties: could not find class Missing in schema" }] }),
        ),
        ("DELETE", "/v1/batch/objects") => {
            let filter = &body["match"]["where"];
            assert_eq!((&filter["path"], &filter["operator"]), (&json!(["id"]), &json!("ContainsAny")));
            let ids = filter["valueTextArray"].as_array().expect("ids");
            delete(state, ids);
            (200, json!({ "results": { "matches": ids.len(), "successful": ids.len(), "failed": 0 } }))
        }
        _ => (404, Value::Null),
    }
}

fn milvus(state: &mut State, path: &str, body: &Value) -> Value {
    let collection = body["collectionName"].as_str().unwrap_or("documents");
    if collection != "documents" {
        return json!({ "code": 100, "message": format!("can't find collection[{collection}]") });
    }
    match path {
        "/v2/vectordb/collections/create" => {
            create(state, &body["dimension"]);
            json!({ "code": 0, "data": {} })
        }
        "/v2/vectordb/collections/list" => json!({ "code": 0, "data": ["documents"] }),
        "/v2/vectordb/collections/describe" => {
            let dimension = json!([{ "key": "dim", "value": state.dimension.to_string() }]);
            json!({ "code": 0, "data": { "collectionName": "documents", "enableDynamicField": true, "fields": [
                { "name": "id", "type": "VarChar", "primaryKey": true },
                { "name": "vector", "type": "FloatVector", "params": dimension },
            ] } })
        }
        "/v2/vectordb/entities/upsert" => {
            let data = body["data"].as_array().expect("data");
            for entity in data {
                let mut fields = entity.clone();
                fields.as_object_mut().expect("an entity").retain(|name, _| name != "id" && name != "vector");
                if let Err(error) = put(state, &entity["id"], &entity["vector"], &fields) {
                    return json!({ "code": 1804, "message": error });
                }
            }
            json!({ "code": 0, "data": { "upsertCount": data.len() } })
        }
        "/v2/vectordb/entities/delete" => {
            let filter = body["filter"].as_str().expect("a filter");
            let ids: Vec<Value> = serde_json::from_str(filter.strip_prefix("id in ").expect("a list of ids")).unwrap();
            delete(state, &ids);
            json!({ "code": 0, "cost": 0, "data": {} })
        }
        _ => panic!("{path} is no operation of Milvus that writing needs"),
    }
}

fn pinecone(state: &mut State, path: &str, body: &Value) -> (u16, Value) {
    match path {
        "/describe_index_stats" => {
            let count = state.rows.len();
            let namespaces = json!({ "documents": { "vectorCount": count } });
            (200, json!({ "namespaces": namespaces, "dimension": state.dimension, "totalVectorCount": count }))
        }
        "/vectors/upsert" => {
            let vectors = body["vectors"].as_array().expect("vectors");
            for vector in vectors {
                let fits = |value: &Value| match value {
                    Value::Array(items) => items.iter().all(Value::is_string),
                    value => !value.is_null() && !value.is_object(),
                };
                assert!(vector["metadata"].as_object().expect("metadata").values().all(fits), "{vector}");
                if let Err(message) = put(state, &vector["id"], &vector["values"], &vector["metadata"]) {
                    return (400, json!({ "code": 3, "message": message, "details": [] }));
                }
            }
            (200, json!({ "upsertedCount": vectors.len() }))
        }
        "/vectors/delete" => {
            delete(state, body["ids"].as_array().expect("ids"));
            (200, json!({}))
        }
        _ => (404, json!({ "code": 5, "message": "Not Found" })),
    }
}
