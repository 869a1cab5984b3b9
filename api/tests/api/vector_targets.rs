//! Results in vector stores. The store equals the source, whatever happens in between.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::{
    Milvus, QuickWorker, Setup, StoredRow, TestApp, VectorServer,
    targets::{check, connect, delete_file, text, vectors_into, without_space},
    wait_until,
};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");
const STORES: [&str; 4] = ["qdrant", "weaviate", "milvus", "pinecone"];

/// A store whose rows a test reads.
trait Store {
    async fn rows(&self) -> BTreeMap<String, StoredRow>;
}

impl Store for VectorServer {
    async fn rows(&self) -> BTreeMap<String, StoredRow> {
        Self::rows(self)
    }
}

impl Store for Milvus {
    async fn rows(&self) -> BTreeMap<String, StoredRow> {
        Self::rows(self, "documents").await
    }
}

#[actix_web::test]
async fn vector_stores_have_what_the_files_have() {
    let stores = STORES.map(|provider| async move {
        let server = VectorServer::start("hunter2-key", 384).await;
        assert_store_has_what_the_files_have(provider, &server, &server.url, "hunter2-key").await;
    });
    futures::future::join_all(stores).await;
}

#[actix_web::test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "no package has Milvus for this machine")]
async fn milvus_has_what_the_files_have_and_rejects_what_does_not_fit() {
    let server = Milvus::start().await;
    server.create("documents", 384).await;
    server.create("small", 3).await;
    assert_store_has_what_the_files_have("milvus", &server, &server.url, &Milvus::key()).await;
    assert_milvus_rejects_what_does_not_fit(&server).await;
}

async fn assert_store_has_what_the_files_have(provider: &str, server: &impl Store, url: &str, key: &str) {
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    let worker = QuickWorker::start(&setup.app).await;
    let connection = connect(&setup, provider, json!({ "baseUrl": url }), json!({ "apiKey": key })).await;
    let (state, steps) = check(&setup, &connection).await;
    assert_eq!(state, "ok", "{provider}: {steps:?}");
    let into = if provider == "weaviate" { "Documents" } else { "documents" };
    let pipeline = setup.pipeline("Out", &vectors_into(&connection, into)).await;

    let first = setup.app.upload_as(&setup.ada, &setup.workspace, "a", &text("a", 6)).await;
    let id = first["id"].as_str().unwrap().to_owned();
    let file = setup.app.finished_file(&setup.ada, &setup.workspace, &id).await;
    assert_eq!(file["state"], "ready", "{provider}: {file}");
    let other = setup.app.upload_as(&setup.ada, &setup.workspace, "b", &text("b", 1)).await;
    let other = other["id"].as_str().unwrap().to_owned();
    setup.app.finished_file(&setup.ada, &setup.workspace, &other).await;
    let texts = async |id: &str| -> String {
        let mut rows: Vec<_> = server.rows().await.into_values().filter(|row| row.fields["fileId"] == id).collect();
        rows.sort_by_key(|row| row.fields["ordinal"].as_u64());
        rows.iter().map(|row| without_space(row.fields["text"].as_str().unwrap())).collect()
    };
    assert_eq!(texts(&id).await, without_space(&text("a", 6)), "{provider}");
    assert_eq!(texts(&other).await, without_space(&text("b", 1)), "{provider}");
    let before = server.rows().await;
    assert!(before.values().all(|row| row.vector.len() == 384 && row.vector.iter().any(|one| *one != 0.0)));

    // A shorter version: the rows behind its end go.
    let changed = setup.app.upload_as(&setup.ada, &setup.workspace, "a", &text("a2", 2)).await;
    assert_eq!(changed["id"], id.as_str());
    setup.app.wait_until_no_jobs_are_left().await;
    assert_eq!(texts(&id).await, without_space(&text("a2", 2)), "{provider}");
    let rows = server.rows().await;
    assert!(rows.len() < before.len() && rows.keys().all(|id| before.contains_key(id)), "{provider}");

    // Another way, without a change of the file.
    setup.patch(&format!("files/{other}"), &json!({ "metadata": { "hidden": true } })).await;
    setup.run(&pipeline).await;
    let gone = async || texts(&other).await.is_empty().then_some(());
    wait_until("the rows of the hidden file are gone", gone).await;
    assert_eq!(texts(&id).await, without_space(&text("a2", 2)), "{provider}");
    // A deleted file, and a deleted pipeline.
    if provider == "qdrant" {
        delete_file(&setup, &id).await;
    } else {
        setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
        assert_eq!(setup.app.delete(&setup.ada, &setup.path(&pipeline)).await.status, 204);
    }
    wait_until("all rows are gone", async || server.rows().await.is_empty().then_some(())).await;
    let targets = async || (setup.app.count("external_target").await == 0).then_some(());
    wait_until("nothing outside is left", targets).await;
    setup.app.wait_until_no_jobs_are_left().await;
    worker.stop().await;
    setup.app.stop().await;
}

/// A wrong password, a collection of another dimension, and one that is not there.
async fn assert_milvus_rejects_what_does_not_fit(server: &Milvus) {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let settings = json!({ "baseUrl": server.url });
    let connection = connect(&setup, "milvus", settings, json!({ "apiKey": "root:hunter2-wrong" })).await;
    let (state, steps) = check(&setup, &connection).await;
    assert_eq!((state.as_str(), steps.len()), ("failed", 2), "{steps:?}");
    assert!(steps[1].1.contains("does not accept the connection"), "{steps:?}");
    let credentials = json!({ "credentials": { "apiKey": Milvus::key() } });
    setup.patch(&format!("connections/{connection}"), &credentials).await;
    for (into, reason) in [("small", "384"), ("missing", "collection")] {
        let pipeline = setup.pipeline(into, &vectors_into(&connection, into)).await;
        let name = format!("{into}.txt");
        let failure = setup.upload(&[(&name, &text(into, 1))]).await[&name]["failure"].clone();
        assert_eq!(failure["code"], "target_mismatch", "{failure}");
        assert!(failure["detail"].as_str().unwrap().contains(reason), "{failure}");
        setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
    }
    assert!(server.rows("small").await.is_empty());
    setup.app.stop().await;
}

#[actix_web::test]
async fn each_fault_of_a_store_has_its_consequence() {
    futures::future::join_all(STORES.map(assert_faults_of_a_store_have_consequences)).await;
}

async fn assert_faults_of_a_store_have_consequences(provider: &'static str) {
    // The key is wrong, and then the dimension.
    let server = VectorServer::start("other", 3).await;
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let settings = json!({ "baseUrl": server.url });
    let connection = connect(&setup, provider, settings, json!({ "apiKey": "hunter2-key" })).await;
    let (state, steps) = check(&setup, &connection).await;
    assert_eq!((state.as_str(), steps.len()), ("failed", 2), "{provider}: {steps:?}");
    assert!(steps[1].1.contains("does not accept the connection"), "{provider}: {steps:?}");
    let into = if provider == "weaviate" { "Documents" } else { "documents" };
    setup.pipeline("Out", &vectors_into(&connection, into)).await;
    let accepted = setup.app.upload_as(&setup.ada, &setup.workspace, "a", &text("a", 3)).await;
    let id = accepted["id"].as_str().unwrap().to_owned();
    let waiting = wait_until("the file says why it waits", async || {
        let file = setup.app.file(&setup.ada, &setup.workspace, &id).await;
        file["waiting"]["reason"].as_str().map(str::to_owned)
    })
    .await;
    assert!(waiting.contains("does not accept the connection"), "{provider}: {waiting}");
    let blocked = setup.get(&format!("connections/{connection}")).await;
    assert!(blocked["blocked"]["reason"].as_str().unwrap().contains(provider), "{blocked}");
    server.set_key("hunter2-key");
    setup.patch(&format!("connections/{connection}"), &json!({ "credentials": { "apiKey": "hunter2-key" } })).await;
    let file = setup.app.finished_file(&setup.ada, &setup.workspace, &id).await;
    assert_eq!(file["failure"]["code"], "target_mismatch", "{provider}: {file}");
    let detail = file["failure"]["detail"].as_str().unwrap();
    assert!(detail.to_lowercase().contains("dim") && detail.contains("384"), "{provider}: {detail}");
    assert!(server.rows().is_empty());
    setup.app.stop().await;
}

#[actix_web::test]
async fn store_that_is_busy_or_fails_for_a_while_costs_no_file() {
    let server = VectorServer::start("hunter2-key", 384).await;
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let settings = json!({ "baseUrl": server.url });
    let connection = connect(&setup, "qdrant", settings, json!({ "apiKey": "hunter2-key" })).await;
    setup.pipeline("Out", &vectors_into(&connection, "documents")).await;
    server.fail(2, 500, &json!({ "status": { "error": "out of hunter2-key" } }));
    let files = setup.upload(&[("a.txt", &text("a", 3))]).await;
    assert_eq!(files["a.txt"]["state"], "ready", "{files:?}");
    let all = server.rows().into_values().map(|row| row.fields["text"].as_str().unwrap().len()).sum::<usize>();
    assert!(all > 0 && setup.app.count("dead_job").await == 0);
    // A collection that is not there is the file's failure, and the message is the server's.
    let missing = setup.pipeline("Missing", &vectors_into(&connection, "missing")).await;
    let files = setup.upload(&[("b.txt", &text("b", 1))]).await;
    assert_eq!(files["b.txt"]["failure"]["code"], "target_mismatch", "{files:?}");
    assert!(!files["b.txt"].to_string().contains("hunter2"), "{files:?}");
    setup.patch(&missing, &json!({ "state": "disabled" })).await;
    setup.app.stop().await;
}
