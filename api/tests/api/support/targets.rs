//! Connections that results are written to, and pipelines that write to them.

use serde_json::{Value, json};

use super::{Setup, definition};

/// Creates a connection and returns its id.
pub async fn connect(setup: &Setup, provider: &str, settings: Value, credentials: Value) -> String {
    let mut body = json!({ "name": provider.replace('_', "-"), "provider": provider, "settings": settings });
    if !credentials.is_null() {
        body["credentials"] = credentials;
    }
    let created = setup.app.post(&setup.ada, &setup.path("connections"), &body).await.expect(201);
    created["id"].as_str().unwrap().to_owned()
}

/// Checks a connection; returns the state, and the steps with their details.
pub async fn check(setup: &Setup, connection: &str) -> (String, Vec<(String, String)>) {
    let path = setup.path(&format!("connections/{connection}/check"));
    let checked = setup.app.post(&setup.ada, &path, &json!({})).await.expect(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = checked["check"]["steps"].as_array().unwrap();
    (text(&checked["check"]["state"]), steps.iter().map(|one| (text(&one["name"]), text(&one["detail"]))).collect())
}

/// Chunks with vectors into a connection.
pub fn vectors_into(connection: &str, into: &str) -> Value {
    definition(
        &json!([
            { "id": "in", "type": "source.files" },
            { "id": "read", "type": "partition" },
            { "id": "shown", "type": "filter", "expression": "!has(metadata.hidden) || metadata.hidden != true" },
            { "id": "cut", "type": "chunk.characters", "maxCharacters": 60 },
            { "id": "vec", "type": "embed" },
            { "id": "out", "type": "sink.connection", "connection": connection, "into": into, "batchSize": 2 },
        ]),
        &["in > read", "read > shown", "shown > cut", "cut > vec", "vec > out"],
    )
}

/// Chunks without vectors into a table.
pub fn chunks_into(connection: &str, into: &str) -> Value {
    definition(
        &json!([
            { "id": "in", "type": "source.files" },
            { "id": "read", "type": "partition" },
            { "id": "cut", "type": "chunk.characters", "maxCharacters": 60 },
            { "id": "out", "type": "sink.connection", "connection": connection, "into": into, "batchSize": 2,
              "fields": { "file": "file.name", "ordinal": "item.ordinal" } },
        ]),
        &["in > read", "read > cut", "cut > out"],
    )
}

pub fn text(name: &str, lines: usize) -> String {
    (0..lines).map(|line| format!("Reading {line} of gauge {name}: the water stood at {} cm.\n", line * 37)).collect()
}

pub fn without_space(text: &str) -> String {
    text.split_whitespace().collect()
}

pub async fn delete_file(setup: &Setup, file: &str) {
    let path = setup.path(&format!("files/{file}"));
    assert_eq!(setup.app.delete(&setup.ada, &path).await.status, 204);
}
