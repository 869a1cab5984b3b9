//! The examples of `docs/VECTOR_STORES.md`: each collection is created as it is printed, and gets the vectors of a file.

use reqwest::Url;
use serde_json::{Value, json};

use crate::support::{
    Milvus, Setup, TestApp, VectorServer, definition,
    documented::{ExampleRequest, Examples, with},
};

const KEY: &str = "hunter2-key";
/// The dimensions of the local model.
const DIMENSIONS: usize = 384;

/// Sends the request that creates a collection to a server of the test.
async fn create_collection(example: &ExampleRequest, server: &str, key: &str) {
    let printed: Url = example.url.parse().unwrap();
    let request = TestApp::new_client().request(example.method.clone(), format!("{server}{}", printed.path()));
    let request = example.headers.iter().fold(request.body(example.body.to_string()), |request, (name, value)| {
        request.header(name, value.replace("$KEY", key))
    });
    let response = request.send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    let body: Value = serde_json::from_str(&text).unwrap();
    // Milvus says in the body whether it succeeded.
    assert!(status.is_success() && (body["code"].is_null() || body["code"] == 0), "{example:?}: {status} {text}");
}

/// Creates the connection of a section, and a pipeline that writes into it.
async fn write_into(setup: &Setup, example: &ExampleRequest, (server, key): (&str, &str), sink: &Value) {
    assert_eq!(example.url, "$WS/connections");
    let address = json!({ "baseUrl": server });
    let connection = setup.connect_example(&example.body, &address, &json!({ "apiKey": key })).await;
    let nodes = json!([
        { "id": "in", "type": "source.files" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "vec", "type": "embed" },
        with(sink, &[("CONNECTION", &connection)]),
    ]);
    setup.pipeline(&connection, &definition(&nodes, &["in > read", "read > cut", "cut > vec", "vec > out"])).await;
    // Now with the step `write`, which is not optional any more.
    setup.assert_connected(&connection).await;
}

#[actix_web::test]
async fn every_documented_example_of_a_vector_store_is_written() {
    // Where no package has Milvus, a server that speaks its protocol.
    let real = if cfg!(target_arch = "x86_64") { Some(Milvus::start().await) } else { None };
    // A creation says how many dimensions there are.
    let [qdrant, protocol] = [VectorServer::start(KEY, 3).await, VectorServer::start(KEY, 3).await];
    let [weaviate, pinecone] = [VectorServer::start(KEY, DIMENSIONS).await, VectorServer::start(KEY, DIMENSIONS).await];
    let (milvus_url, milvus_key) = match &real {
        Some(milvus) => (milvus.url.as_str(), Milvus::key()),
        None => (protocol.url.as_str(), KEY.to_owned()),
    };
    // The second network is that of an example.
    let networks = ("NVISY_OUTBOUND_ALLOWED_NETWORKS", "127.0.0.0/8, 10.20.0.0/16");
    let setup = Setup::of(TestApp::start_with_worker(&[networks]).await).await;

    let mut examples = Examples::of("VECTOR_STORES.md");
    let sink = examples.json("Settings");
    let requests = examples.requests("Qdrant");
    create_collection(&requests[0], &qdrant.url, KEY).await;
    write_into(&setup, &requests[1], (&qdrant.url, KEY), &sink).await;
    let requests = examples.requests("Weaviate");
    create_collection(&requests[0], &weaviate.url, KEY).await;
    write_into(&setup, &requests[1], (&weaviate.url, KEY), &examples.json("Weaviate")).await;
    let requests = examples.requests("Milvus");
    create_collection(&requests[0], milvus_url, &milvus_key).await;
    write_into(&setup, &requests[1], (milvus_url, &milvus_key), &sink).await;
    let requests = examples.requests("Pinecone");
    write_into(&setup, &requests[0], (&pinecone.url, KEY), &sink).await;
    examples.finish();

    let files = setup.upload(&[("tides.md", "# Tides\n\nThe ebb begins at noon.\n")]).await;
    assert_eq!(files["tides.md"]["state"], "ready", "{files:?}");
    setup.app.wait_until_no_jobs_are_left().await;
    let in_milvus = match &real {
        Some(milvus) => milvus.rows("documents").await,
        None => protocol.rows(),
    };
    for (store, rows) in
        [("qdrant", qdrant.rows()), ("weaviate", weaviate.rows()), ("milvus", in_milvus), ("pinecone", pinecone.rows())]
    {
        let is_complete = rows.values().all(|row| row.vector.len() == DIMENSIONS && row.fields["title"] == "tides.md");
        assert!(!rows.is_empty() && is_complete, "{store}: {rows:?}");
    }
    setup.app.stop().await;
}
