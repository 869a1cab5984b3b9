//! The step `stream` of a check: it says whether sources of pipelines can read what they name.

use serde_json::{Value, json};

use crate::{
    connection_rows::{postgres, reading},
    support::{Setup, TestApp, targets::connect},
};

/// Checks a connection; returns the state and the steps `stream`.
async fn check(setup: &Setup, connection: &str) -> (String, Vec<Value>) {
    let path = setup.path(&format!("connections/{connection}/check"));
    let check = setup.app.post(&setup.ada, &path, &json!({})).await.expect(200)["check"].clone();
    let steps = check["steps"].as_array().unwrap().iter().filter(|step| step["name"] == "stream").cloned().collect();
    (check["state"].as_str().unwrap().to_owned(), steps)
}

#[actix_web::test]
async fn check_names_the_node_whose_stream_cannot_be_read() {
    let setup = Setup::with_worker().await;
    setup
        .app
        .sql(
            "create schema outside; create table outside.rows (id integer primary key, body text);
             insert into outside.rows values (1, 'The ebb begins at noon.')",
        )
        .await;
    let connection = postgres(&setup).await;
    assert_eq!(check(&setup, &connection).await, ("ok".to_owned(), Vec::new()));
    for (stream, reason) in [
        (json!({ "table": "outside.rows", "key": "id", "cursor": "changed" }), "changed"),
        (json!({ "table": "outside.rows", "key": "number" }), "number"),
        (json!({ "tabel": "outside.rows", "key": "id" }), "tabel"),
        (json!({ "table": "outside.rows" }), "key"),
        (json!({ "table": "outside.rows", "key": "id", "template": "# {title}" }), "title"),
        (json!({ "table": "outside.rows", "key": "id", "template": "# {body" }), "`}`"),
    ] {
        let pipeline = reading(&setup, &connection, stream.clone(), "full").await;
        let (state, steps) = check(&setup, &connection).await;
        assert_eq!((state.as_str(), steps.len(), &steps[0]["ok"]), ("failed", 1, &json!(false)), "{stream}: {steps:?}");
        let detail = steps[0]["detail"].as_str().unwrap();
        for expected in ["`in`", "`Rows`", reason, "correct"] {
            assert!(detail.contains(expected), "{stream}: {detail}");
        }
        setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
        assert_eq!(setup.app.delete(&setup.ada, &setup.path(&pipeline)).await.status, 204);
    }
    reading(&setup, &connection, json!({ "table": "outside.rows", "key": "id" }), "full").await;
    let (state, steps) = check(&setup, &connection).await;
    assert_eq!((state.as_str(), steps.len(), &steps[0]["ok"]), ("ok", 1, &json!(true)), "{steps:?}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn folder_that_a_source_names_is_checked_in_place_of_the_whole_store() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let app = TestApp::start_with_worker(&[("NVISY_OUTBOUND_LOCAL_FOLDERS", &path)]).await;
    let setup = Setup::of(app).await;
    let connection = connect(&setup, "local_folder", json!({ "path": path }), Value::Null).await;
    let pipeline = reading(&setup, &connection, json!({ "path": "in" }), "full").await;
    let (state, steps) = check(&setup, &connection).await;
    assert_eq!((state.as_str(), steps.len(), &steps[0]["ok"]), ("ok", 1, &json!(true)), "{steps:?}");
    std::fs::remove_dir(folder.path().join("in")).unwrap();
    let (state, steps) = check(&setup, &connection).await;
    assert_eq!((state.as_str(), steps.len(), &steps[0]["ok"]), ("failed", 1, &json!(false)), "{steps:?}");
    setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
    setup.app.stop().await;
}
