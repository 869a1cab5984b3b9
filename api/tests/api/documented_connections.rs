//! The examples of `docs/CONNECTIONS.md`, and which examples and settings the pages of all providers must have.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{
    ModelRequest, ModelServer, Setup, TestApp, VectorServer, completion, definition,
    documented::{ExampleRequest, Examples, with},
    hit_names, model_response,
};

/// The pages whose examples tests run: this one and its neighbours, `web_examples.rs` and `mail_sources.rs`.
const PAGES: [&str; 6] =
    ["CONNECTIONS.md", "DATABASES.md", "MAIL_SOURCES.md", "OBJECT_STORES.md", "VECTOR_STORES.md", "WEB_SOURCES.md"];
const KEY: &str = "hunter2-key";
const CONTRACT: &str = "# Termination\n\nEither side may use the termination clause once a year.\n";
const PRICES: &str = "# Prices\n\nThe clause about prices follows the termination clause.\n";

/// The fields of a JSON Schema.
fn fields(schema: &Value) -> Vec<String> {
    schema["properties"].as_object().into_iter().flatten().map(|(field, _)| field.clone()).collect()
}

#[actix_web::test]
async fn page_of_every_provider_has_an_example_settings_and_least_privileges() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let providers = app.get(&ada, "/api/v1/providers").await.expect(200);
    let pages = PAGES.map(Examples::of);
    // The pages and sections with examples of each provider.
    let mut places: BTreeMap<String, Vec<(&Examples, String)>> = BTreeMap::new();
    for page in &pages {
        for example in page.left() {
            for connection in example.connections() {
                let provider = connection["provider"].as_str().unwrap().to_owned();
                places.entry(provider).or_default().push((page, page.section(&example.section)));
            }
        }
    }
    let mut missing = Vec::new();
    for provider in providers["items"].as_array().unwrap() {
        let name = provider["name"].as_str().unwrap();
        let Some(found) = places.remove(name) else {
            missing.push(format!("{name}: an example"));
            continue;
        };
        let has_privileges = |text: &str| text.to_lowercase().contains("least privileges");
        if !found.iter().any(|(_, section)| has_privileges(section)) {
            missing.push(format!("{name}: the least privileges, in the section of the example"));
        }
        for field in [fields(&provider["settingsSchema"]), fields(&provider["credentialsSchema"])].concat() {
            if !found.iter().any(|(page, _)| page.text.contains(&format!("`{field}`"))) {
                missing.push(format!("{name}: the field `{field}`"));
            }
        }
    }
    assert!(missing.is_empty(), "the pages of connections lack:\n{}", missing.join("\n"));
    assert!(places.is_empty(), "there are no such providers: {:?}", places.into_keys());
    app.stop().await;
}

/// The answer of the server that a path belongs to.
fn respond(request: &ModelRequest) -> String {
    const JSON: &str = "{\"ok\": true}";
    let path = request.head.split(' ').nth(1).unwrap_or_default();
    let body = match path {
        "/v1/chat/completions" => return completion(JSON),
        "/v1/messages" => json!({ "content": [{ "type": "text", "text": JSON }], "stop_reason": "end_turn" }),
        "/v2/chat" => {
            json!({ "message": { "content": [{ "type": "text", "text": JSON }] }, "finish_reason": "COMPLETE" })
        }
        "/api/chat" => json!({ "message": { "role": "assistant", "content": JSON }, "done_reason": "stop" }),
        "/v1/embeddings" => embeddings(&request.body),
        "/rerank" | "/v2/rerank" => scores(&request.body),
        _ if path.ends_with(":generatecontent") => {
            json!({ "candidates": [{ "content": { "parts": [{ "text": JSON }] }, "finishReason": "STOP" }] })
        }
        _ => return model_response("404", "", ""),
    };
    model_response("200", "content-type: application/json\r\n", &body.to_string())
}

/// Vectors of the dimensions of the example.
fn embeddings(body: &Value) -> Value {
    let mut vector = vec![0.0; 1536];
    vector[0] = 1.0;
    let texts = 0..body["input"].as_array().map_or(0, Vec::len);
    json!({ "data": texts.map(|index| json!({ "index": index, "embedding": vector })).collect::<Vec<_>>() })
}

/// The same score for every passage, as Jina and Cohere have it, or Text Embeddings Inference.
fn scores(body: &Value) -> Value {
    let of = |list: &str, field: &str| {
        let indices = 0..body[list].as_array().map_or(0, Vec::len);
        indices.map(|index| json!({ "index": index, field: 0.5 })).collect::<Vec<_>>()
    };
    match body["texts"].is_array() {
        true => json!(of("texts", "score")),
        false => json!({ "results": of("documents", "relevance_score") }),
    }
}

/// A pipeline that reads uploads, with these nodes behind the chunks.
async fn add_pipeline(setup: &Setup, name: &str, sink: &Value) {
    let nodes = json!([
        { "id": "in", "type": "source.files" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "vec", "type": "embed" },
        sink,
    ]);
    setup.pipeline(name, &definition(&nodes, &["in > read", "read > cut", "cut > vec", "vec > out"])).await;
}

/// Connects what a request describes with the server of the test.
async fn connect(setup: &Setup, server: &ModelServer, request: &ExampleRequest) -> String {
    assert_eq!(request.url, "$WS/connections");
    let root = server.base_url.trim_end_matches("/v1");
    let base_url = match request.body["provider"].as_str().unwrap() {
        "openai" | "openai-embeddings" => server.base_url.as_str(),
        _ => root,
    };
    let credentials = if request.body["credentials"].is_null() { Value::Null } else { json!({ "apiKey": KEY }) };
    setup.connect_example(&request.body, &json!({ "baseUrl": base_url }), &credentials).await
}

#[actix_web::test]
async fn every_documented_example_of_a_connection_works() {
    let server = ModelServer::start().await;
    server.respond(respond);
    // The second network is that of examples.
    let networks = ("NVISY_OUTBOUND_ALLOWED_NETWORKS", "127.0.0.0/8, 10.20.0.0/16");
    let setup = Setup::of(TestApp::start_with_worker(&[networks]).await).await;
    let mut examples = Examples::of("CONNECTIONS.md");

    let [create, check]: [ExampleRequest; 2] = examples.requests("Create and check").try_into().expect("two requests");
    let main = connect(&setup, &server, &create).await;
    let checked = setup.answered_example(&check.with(&[("ID", &main)])).await;
    assert_eq!(checked["check"]["state"], "ok", "{checked}");
    for request in examples.requests("Providers") {
        connect(&setup, &server, &request).await;
    }

    let [create, collection]: [ExampleRequest; 2] = examples.requests("Embeddings").try_into().expect("two requests");
    let vectors = connect(&setup, &server, &create).await;
    setup.send_example(&collection.with(&[("ID", &vectors)])).await;
    let reports = json!({ "id": "out", "type": "sink.collection", "collection": collection.body["name"] });
    add_pipeline(&setup, "Reports", &reports).await;
    for request in examples.requests("Reranking") {
        connect(&setup, &server, &request).await;
    }
    let [search]: [ExampleRequest; 1] = examples.requests("Reranking").try_into().expect("a request");
    let store = VectorServer::start(KEY, 384).await;
    let body = json!({
        "name": "store", "provider": "qdrant", "settings": { "baseUrl": store.url }, "credentials": { "apiKey": KEY },
    });
    let created = setup.app.post(&setup.ada, &setup.path("connections"), &body).await.expect(201);
    let sink = with(&examples.json("Writing"), &[("CONNECTION", created["id"].as_str().unwrap())]);
    add_pipeline(&setup, "Rows", &sink).await;
    examples.finish();

    let files = setup.upload(&[("contract.md", CONTRACT), ("prices.md", PRICES)]).await;
    assert!(files.values().all(|file| file["state"] == "ready"), "{files:?}");
    setup.app.wait_until_no_jobs_are_left().await;
    let found = setup.answered_example(&search).await;
    assert_eq!(hit_names(&found).len(), 2, "{found}");
    assert!(found["hits"][0]["scores"]["rerank"].is_number() && found["degraded"].is_null(), "{found}");
    let asked: Vec<_> = server.requests().iter().map(|request| request.head.clone()).collect();
    assert!(asked.iter().any(|head| head.starts_with("post /v2/rerank ")), "{asked:?}");
    let rows = store.rows();
    let is_complete =
        rows.values().all(|row| files.contains_key(row.fields["title"].as_str().unwrap()) && row.fields["page"] == 0);
    assert!(rows.len() >= 2 && is_complete, "{rows:?}");
    setup.app.stop().await;
}
