//! Files whose objects are gone for one of several sources, or with the source itself.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{
    TestApp,
    synced::{Synced, counts},
};

/// A workspace with a connection to this folder, and a pipeline that reads it.
async fn synced(folder: &Path, source: Value) -> Synced {
    let path = folder.to_str().unwrap().to_owned();
    let app = TestApp::start_with_worker(&[("NVISY_OUTBOUND_LOCAL_FOLDERS", &path)]).await;
    Synced::of(app, "local_folder", json!({ "path": path }), Value::Null, source).await
}

#[actix_web::test]
async fn file_is_marked_when_the_last_pipeline_misses_its_object() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.txt", "b.txt"] {
        fs::write(folder.path().join(name), format!("The gauge of {name}.")).unwrap();
    }
    let mut synced = synced(folder.path(), json!({ "deletions": "mark" })).await;
    synced.sync().await;
    let first = synced.pipeline.clone();
    synced.pipeline = synced.add_pipeline("other", json!({ "deletions": "mark" })).await;
    assert_eq!(counts(&synced.sync().await), [2, 2, 0, 0, 0, 0]);
    fs::remove_file(folder.path().join("a.txt")).unwrap();
    assert_eq!(counts(&synced.sync().await), [1, 0, 0, 1, 1, 0]);
    assert!(synced.files().await[0]["sourceDeletedAt"].is_null(), "the first pipeline has the object");
    synced.pipeline = first;
    assert_eq!(counts(&synced.sync().await), [1, 0, 0, 1, 1, 0]);
    let files = synced.files().await;
    assert!(files[0]["sourceDeletedAt"].is_string() && files[1]["sourceDeletedAt"].is_null(), "{files:?}");
    synced.app.stop().await;
}
