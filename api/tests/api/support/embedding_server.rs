//! A server of embedding models.

use serde::Serialize;
use serde_json::{Value, json};

use super::{ModelRequest, ModelServer, model_response};

/// Starts a server whose vectors are [`byte_counts`]; returns its URL.
pub async fn start_embedding_server() -> String {
    let server = ModelServer::start().await;
    server.respond(|request| embedding_response(request, byte_counts));
    server.base_url
}

/// The settings of a model of the server.
pub fn embedding_settings<'a>(url: &'a str, model: &'a str) -> [(&'a str, &'a str); 3] {
    [("NVISY_EMBEDDING_URL", url), ("NVISY_EMBEDDING_MODEL", model), ("NVISY_EMBEDDING_DIMENSIONS", "4")]
}

/// A response with the vector of each text of a request.
pub fn embedding_response<V: Serialize>(request: &ModelRequest, mut vector: impl FnMut(&str) -> V) -> String {
    let texts = request.body["input"].as_array().into_iter().flatten().map(|text| text.as_str().unwrap_or_default());
    let data: Vec<Value> =
        texts.enumerate().map(|(index, text)| json!({ "index": index, "embedding": vector(text) })).collect();
    let body = json!({ "object": "list", "data": data }).to_string();
    model_response("200", "content-type: application/json\r\n", &body)
}

/// A vector of four components, computed from the bytes of a text.
pub fn byte_counts(text: &str) -> [f32; 4] {
    let mut vector = [1.0; 4];
    text.bytes().for_each(|byte| vector[usize::from(byte % 4)] += 1.0);
    vector
}
