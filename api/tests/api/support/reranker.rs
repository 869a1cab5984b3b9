//! Searched files, and a reranking server that prefers those of a high priority.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{ModelRequest, ModelServer, Searched, TestFile, TestResponse, hit_names, model_response};

/// Files that words find in their order, which is not that of their priorities.
pub const RERANKED_FILES: [(&str, &str); 6] = [
    ("a.txt", "turbine turbine turbine turbine turbine turbine. Priority 3. Notes of the harbour."),
    ("b.txt", "turbine turbine turbine turbine turbine water. Priority 1. Notes of the harbour."),
    ("c.txt", "turbine turbine turbine turbine water water. Priority 6. Notes of the harbour."),
    ("d.txt", "turbine turbine turbine water water water. Priority 2. Notes of the harbour."),
    ("e.txt", "turbine turbine water water water water. Priority 5. Notes of the harbour."),
    ("f.txt", "turbine water water water water water. Priority 4. Notes of the harbour."),
];

/// The priority in a text, in tenths.
fn priority(text: &str) -> f64 {
    let digit = text.split("Priority ").nth(1).and_then(|rest| rest.chars().next()?.to_digit(10));
    f64::from(digit.unwrap_or(0)) / 10.0
}

/// The response of a server of Jina's protocol, best first.
pub fn reranked_response(request: &ModelRequest) -> String {
    let documents = request.body["documents"].as_array().cloned().unwrap_or_default();
    let mut scored: Vec<(usize, f64)> =
        documents.iter().map(|text| priority(text.as_str().unwrap_or_default())).enumerate().collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    let results: Vec<Value> =
        scored.into_iter().map(|(index, score)| json!({ "index": index, "relevance_score": score })).collect();
    let body = json!({ "model": "rerank-1", "results": results, "usage": { "total_tokens": 70 } }).to_string();
    model_response("200", "content-type: application/json\r\n", &body)
}

pub struct Reranked {
    pub searched: Searched,
    pub server: ModelServer,
    /// The id of the connection `reranker`.
    pub connection: String,
}

impl Reranked {
    /// [`RERANKED_FILES`], and a connection with these settings beside model and address.
    pub async fn new(settings: &Value) -> Self {
        let files = RERANKED_FILES.map(|(name, content)| TestFile::new(name, content));
        Self::with(Searched::new(&files).await, settings).await
    }

    pub async fn with(searched: Searched, settings: &Value) -> Self {
        let server = ModelServer::start().await;
        server.respond(reranked_response);
        let mut all = json!({ "model": "rerank-1", "baseUrl": server.base_url });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let body = json!({
            "name": "reranker", "provider": "jina", "settings": all, "credentials": { "apiKey": "hunter2" },
        });
        let created = searched.post("connections", &body).await.expect(201);
        assert_eq!(created["kind"], "reranking");
        let connection = created["id"].as_str().unwrap().to_owned();
        Self { searched, server, connection }
    }

    /// A search with more fields.
    pub async fn search(&self, more: Value) -> Value {
        self.searched.search(self.body(more)).await
    }

    /// The body of a search by words, with more fields.
    pub fn body(&self, more: Value) -> Value {
        let mut body = json!({ "query": "turbine", "mode": "text" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }

    pub async fn patch_connection(&self, body: &Value) -> TestResponse {
        let path = self.searched.path(&format!("connections/{}", self.connection));
        self.searched.app.patch(&self.searched.ada, &path, body).await
    }
}

/// The names of hits when the first `candidates` of `plain` are ordered by the priorities of their files.
pub fn by_priority(plain: &Value, candidates: usize) -> Vec<String> {
    let texts: HashMap<&str, &str> = RERANKED_FILES.into_iter().collect();
    let mut names = hit_names(plain);
    let count = candidates.min(names.len());
    names[..count].sort_by(|a, b| priority(texts[b]).total_cmp(&priority(texts[a])));
    names.into_iter().map(str::to_owned).collect()
}
