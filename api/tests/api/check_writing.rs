//! The step `write` of a check: it says whether sinks can write, with a code if not, and leaves nothing.

use nvisy_shared::id;
use serde_json::{Value, json};

use crate::{
    connection_rows::postgres,
    support::{
        MariaDb, Setup, TestApp, VectorServer, definition,
        object_store::{READER_KEY, SECRET_KEY, SeaweedFs, WRITER_KEY},
        targets::{chunks_into, connect, vectors_into},
    },
};

/// Checks a connection; returns the state and the steps `write`.
async fn check(setup: &Setup, connection: &str) -> (String, Vec<Value>) {
    let path = setup.path(&format!("connections/{connection}/check"));
    let check = setup.app.post(&setup.ada, &path, &json!({})).await.expect(200)["check"].clone();
    let steps = check["steps"].as_array().unwrap().iter().filter(|step| step["name"] == "write").cloned().collect();
    (check["state"].as_str().unwrap().to_owned(), steps)
}

/// Fails unless a check finds that sinks can write.
pub async fn assert_can_write(setup: &Setup, connection: &str, optional: bool) {
    let (state, steps) = check(setup, connection).await;
    assert_eq!((state.as_str(), steps.len()), ("ok", 1), "{steps:?}");
    assert_eq!((&steps[0]["ok"], &steps[0]["optional"]), (&json!(true), &json!(optional)), "{steps:?}");
}

/// Fails unless a check finds that sinks cannot write, for a reason of this code.
async fn assert_cannot_write(setup: &Setup, connection: &str, optional: bool, code: &str) {
    let (state, steps) = check(setup, connection).await;
    assert_eq!((state.as_str(), steps.len()), (if optional { "ok" } else { "failed" }, 1), "{steps:?}");
    let found = (&steps[0]["ok"], &steps[0]["optional"], &steps[0]["code"]);
    assert_eq!(found, (&json!(false), &json!(optional), &json!(code)), "{steps:?}");
}

fn bytes_into(connection: &str) -> Value {
    let nodes = json!([
        { "id": "in", "type": "source.files" },
        { "id": "out", "type": "sink.connection", "connection": connection, "into": "exports" },
    ]);
    definition(&nodes, &["in > out"])
}

#[actix_web::test]
async fn key_that_may_only_read_fails_the_check_once_a_pipeline_writes() {
    let store = SeaweedFs::start().await;
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let reader = json!({ "accessKeyId": READER_KEY, "secretAccessKey": SECRET_KEY });
    let connection = connect(&setup, "s3", store.s3_settings(), reader).await;
    assert_cannot_write(&setup, &connection, true, "blocked").await;
    let pipeline = setup.pipeline("Out", &bytes_into(&connection)).await;
    assert_cannot_write(&setup, &connection, false, "blocked").await;
    // Nothing is tried where pipelines only read.
    setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
    assert_eq!(setup.app.delete(&setup.ada, &setup.path(&pipeline)).await.status, 204);
    let nodes = json!([
        { "id": "in", "type": "source.connection", "connection": connection },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "out", "type": "sink.collection", "collection": "default" },
    ]);
    setup.pipeline("In", &definition(&nodes, &["in > read", "read > cut", "cut > out"])).await;
    assert_eq!(check(&setup, &connection).await, ("ok".to_owned(), Vec::new()));
    assert!(store.objects().await.is_empty());
    setup.app.stop().await;
}

#[actix_web::test]
async fn key_that_may_only_write_passes_the_check_once_a_pipeline_writes() {
    let store = SeaweedFs::start().await;
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let writer = json!({ "accessKeyId": WRITER_KEY, "secretAccessKey": SECRET_KEY });
    let connection = connect(&setup, "s3", store.s3_settings(), writer).await;
    assert_eq!(check(&setup, &connection).await, ("failed".to_owned(), Vec::new()));
    setup.pipeline("Out", &bytes_into(&connection)).await;
    assert_can_write(&setup, &connection, false).await;
    assert!(store.objects().await.is_empty());
    setup.app.stop().await;
}

#[actix_web::test]
async fn folder_that_the_operator_opens_for_reading_says_that_it_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let setup = Setup::of(TestApp::start_with_worker(&[("NVISY_OUTBOUND_LOCAL_FOLDERS", &path)]).await).await;
    let connection = connect(&setup, "local_folder", json!({ "path": path }), Value::Null).await;
    assert_cannot_write(&setup, &connection, true, "blocked").await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    setup.app.stop().await;
}

#[actix_web::test]
async fn rights_on_a_table_of_postgres_are_tried() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let role = format!("reader_{}", id::new().simple());
    let tables = format!(
        "create schema outside; create table outside.documents (id uuid primary key, text text not null);
         create table outside.closed (id uuid primary key);
         create role {role} login password 'hunter2-reader';
         grant usage on schema outside to {role}; grant select, insert, update, delete on outside.documents to {role};
         grant select, insert on outside.closed to {role}"
    );
    setup.app.sql(&tables).await;
    let owner = postgres(&setup).await;
    let settings = setup.get(&format!("connections/{owner}")).await["settings"].clone();
    assert_can_write(&setup, &owner, true).await;
    let body = json!({
        "name": "reader", "provider": "postgresql", "settings": settings,
        "credentials": { "user": role, "password": "hunter2-reader" },
    });
    let reader = setup.app.post(&setup.ada, &setup.path("connections"), &body).await.expect(201);
    let reader = reader["id"].as_str().unwrap().to_owned();

    setup.pipeline("Open", &chunks_into(&reader, "outside.documents")).await;
    assert_can_write(&setup, &reader, false).await;
    setup.pipeline("Closed", &chunks_into(&reader, "outside.closed")).await;
    let (state, steps) = check(&setup, &reader).await;
    assert_eq!(
        (state.as_str(), &steps[0]["code"], &steps[1]["ok"]),
        ("failed", &json!("blocked"), &json!(true)),
        "{steps:?}"
    );
    assert!(steps[0]["detail"].as_str().unwrap().contains("42501"), "{steps:?}");
    setup.pipeline("Missing", &chunks_into(&owner, "outside.none")).await;
    assert_cannot_write(&setup, &owner, false, "target_mismatch").await;
    assert_eq!(setup.app.count("outside.documents").await, 0);
    assert_eq!(setup.app.count("pg_class where relname = 'nvisy_check'").await, 0);
    setup.app.sql(&format!("drop owned by {role}; drop role {role}")).await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn rights_on_a_table_of_mariadb_are_tried() {
    let server = MariaDb::start(&[]).await;
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let settings = json!({ "host": "127.0.0.1", "port": server.port, "database": MariaDb::DATABASE, "tls": "off" });
    let credentials = json!({ "user": MariaDb::USER, "password": MariaDb::PASSWORD });
    let connection = connect(&setup, "mysql", settings, credentials).await;
    assert_can_write(&setup, &connection, true).await;
    let pipeline = setup.pipeline("Out", &chunks_into(&connection, "documents")).await;
    assert_cannot_write(&setup, &connection, false, "target_mismatch").await;
    let mut direct = sqlx::ConnectOptions::connect(&server.options()).await.unwrap();
    sqlx::query("create table documents (id char(36) primary key, text text not null)")
        .execute(&mut direct)
        .await
        .unwrap();
    assert_can_write(&setup, &connection, false).await;
    let rows: i64 = sqlx::query_scalar("select count(*) from documents").fetch_one(&mut direct).await.unwrap();
    assert_eq!(rows, 0);
    setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn collections_of_vector_stores_are_tried() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    for provider in ["qdrant", "weaviate", "milvus", "pinecone"] {
        let server = VectorServer::start("hunter2-key", 384).await;
        let settings = json!({ "baseUrl": server.url });
        let connection = connect(&setup, provider, settings, json!({ "apiKey": "hunter2-key" })).await;
        // Without a name there is nothing to be tried.
        assert_eq!(check(&setup, &connection).await, ("ok".to_owned(), Vec::new()), "{provider}");
        let (into, missing) = if provider == "weaviate" { ("Documents", "Missing") } else { ("documents", "missing") };
        setup.pipeline(provider, &vectors_into(&connection, into)).await;
        assert_can_write(&setup, &connection, false).await;
        if provider != "pinecone" {
            setup.pipeline(&format!("{provider} missing"), &vectors_into(&connection, missing)).await;
            let (state, steps) = check(&setup, &connection).await;
            let codes: Vec<_> = steps.iter().map(|step| step["code"].clone()).collect();
            assert_eq!((state.as_str(), codes), ("failed", vec![Value::Null, json!("target_mismatch")]), "{steps:?}");
        }
    }
    setup.app.stop().await;
}
