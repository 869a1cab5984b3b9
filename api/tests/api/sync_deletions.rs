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

/// Two folders with a file of the same name each, the first one with another file, and a pipeline that reads the second one after
/// the first.
async fn moved(source: Value) -> (Synced, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [("one/a.txt", "The ebb."), ("one/b.txt", "The neap."), ("two/a.txt", "The flood.")] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let app = TestApp::start_with_worker(&[("NVISY_OUTBOUND_LOCAL_FOLDERS", &path(""))]).await;
    let mut synced = Synced::of(app, "local_folder", json!({ "path": path("one") }), Value::Null, source.clone()).await;
    assert_eq!(counts(&synced.sync().await), [2, 2, 0, 0, 0, 0]);
    let body = json!({ "name": "other", "provider": "local_folder", "settings": { "path": path("two") } });
    let created = synced.app.post(&synced.ada, &synced.path("connections"), &body).await.expect(201);
    synced.connection = created["id"].as_str().unwrap().to_owned();
    synced.redefine(&synced.definition("in", source)).await;
    assert_eq!(counts(&synced.sync().await), [1, 1, 0, 0, 2, 0]);
    assert_eq!(synced.find("flood").await, ["a.txt"]);
    (synced, folder)
}

#[actix_web::test]
async fn files_of_the_connection_before_are_deleted() {
    let (synced, _folder) = moved(json!({})).await;
    assert_eq!(synced.ids().await, ["a.txt"]);
    assert!(synced.find("ebb").await.is_empty() && synced.find("neap").await.is_empty());
    assert_eq!(counts(&synced.sync().await), [1, 0, 0, 1, 0, 0]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn files_of_the_connection_before_are_marked_by_setting() {
    let (synced, _folder) = moved(json!({ "deletions": "mark" })).await;
    let files = synced.files().await;
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        let is_current = file["connectionId"] == json!(synced.connection);
        assert_eq!(file["sourceDeletedAt"].is_null(), is_current, "{file}");
    }
    synced.app.stop().await;
}

#[actix_web::test]
async fn renamed_source_keeps_its_files_and_their_deletions() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.txt", "b.txt"] {
        fs::write(folder.path().join(name), format!("The gauge of {name}.")).unwrap();
    }
    let synced = synced(folder.path(), json!({})).await;
    synced.sync().await;
    let before: Vec<_> = synced.files().await.iter().map(|file| file["id"].clone()).collect();
    synced.redefine(&synced.definition("renamed", json!({}))).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [2, 2, 0, 0, 0, 0]), "{run}");
    let after: Vec<_> = synced.files().await.iter().map(|file| file["id"].clone()).collect();
    assert_eq!(after, before);
    assert_eq!(synced.app.count("source_object").await, 2);
    assert_eq!(synced.find("gauge").await, ["a.txt", "b.txt"]);
    fs::remove_file(folder.path().join("a.txt")).unwrap();
    assert_eq!(counts(&synced.sync().await), [1, 0, 0, 1, 1, 0]);
    assert_eq!(synced.ids().await, ["b.txt"]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn files_of_a_removed_source_are_deleted_by_the_next_sync() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["one/a.txt", "two/b.txt"] {
        let path = folder.path().join(path);
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(path, "The gauge is read.").unwrap();
    }
    let synced = synced(folder.path(), json!({})).await;
    let one = synced.definition("in", json!({ "stream": { "path": "one" } }));
    let more = synced.definition("more", json!({ "stream": { "path": "two" } }));
    let mut both = one.clone();
    both["nodes"].as_array_mut().unwrap().push(more["nodes"][0].clone());
    both["edges"].as_array_mut().unwrap().push(more["edges"][0].clone());
    synced.redefine(&both).await;
    assert_eq!(counts(&synced.sync().await), [2, 2, 0, 0, 0, 0]);
    synced.redefine(&one).await;
    assert_eq!(counts(&synced.sync().await), [1, 0, 0, 1, 1, 0]);
    assert_eq!(synced.ids().await, ["one/a.txt"]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn pipeline_without_its_source_keeps_no_file_of_another_pipeline() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.txt", "b.txt"] {
        fs::write(folder.path().join(name), format!("The gauge of {name}.")).unwrap();
    }
    let mut synced = synced(folder.path(), json!({})).await;
    synced.sync().await;
    let first = synced.pipeline.clone();
    synced.pipeline = synced.add_pipeline("other", json!({})).await;
    assert_eq!(counts(&synced.sync().await), [2, 2, 0, 0, 0, 0]);
    let mut without = synced.definition("in", json!({}));
    without["nodes"][0] = json!({ "id": "in", "type": "source.files" });
    synced.redefine(&without).await;
    synced.pipeline = first;
    fs::remove_file(folder.path().join("a.txt")).unwrap();
    assert_eq!(counts(&synced.sync().await), [1, 0, 0, 1, 1, 0]);
    assert_eq!(synced.ids().await, ["b.txt"]);
    synced.app.stop().await;
}
