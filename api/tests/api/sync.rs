//! Keeping files in step with connections, against real stores.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    TestApp,
    object_store::{AZURE_KEY, AZURE_SAS, Azurite, BUCKET, FakeGcs, SFTP_PASSWORD, SeaweedFs, s3_credentials},
    send,
    synced::{LOOPBACK, Synced, counts},
};

/// A store whose objects a test changes.
trait Store {
    async fn put(&self, key: &str, content: &str);
    async fn delete(&self, key: &str);
}

impl Store for SeaweedFs {
    async fn put(&self, key: &str, content: &str) {
        Self::put(self, key, content).await;
    }
    async fn delete(&self, key: &str) {
        Self::delete(self, key).await;
    }
}

impl Store for Azurite {
    async fn put(&self, key: &str, content: &str) {
        Self::put(self, key, content).await;
    }
    async fn delete(&self, key: &str) {
        Self::delete(self, key).await;
    }
}

impl Store for FakeGcs {
    async fn put(&self, key: &str, content: &str) {
        Self::put(self, key, content).await;
    }
    async fn delete(&self, key: &str) {
        Self::delete(self, key).await;
    }
}

/// A folder of this machine.
struct Folder(tempfile::TempDir);

impl Store for Folder {
    async fn put(&self, key: &str, content: &str) {
        let path = self.0.path().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    async fn delete(&self, key: &str) {
        fs::remove_file(self.0.path().join(key)).unwrap();
    }
}

/// The check, the streams and the first objects of a store, and two syncs with changes between them.
async fn assert_in_step(store: &impl Store, synced: Synced, prefix: &str) {
    store.put("a.txt", "The ebb begins at noon.").await;
    store.put("sub/b.txt", "Barnacles hold on to the rock.").await;
    store.put("sub/deep/c d ü.txt", "Kelp is an alga.").await;
    let (app, ada) = (&synced.app, &synced.ada);
    let connection = synced.path(&format!("connections/{}", synced.connection));

    let checked = app.post(ada, &format!("{connection}/check"), &json!({})).await.expect(200);
    assert_eq!(checked["check"]["state"], "ok", "{checked}");
    let streams = app.post(ada, &format!("{connection}/discover"), &json!({})).await.expect(200);
    assert_eq!(streams["state"], "done", "{streams}");
    assert!(
        streams["items"].as_array().unwrap().iter().any(|stream| stream["settings"] == json!({ "path": "sub" })),
        "{streams}"
    );
    let body = json!({ "stream": { "path": "sub" }, "limit": 10 });
    let objects = app.post(ada, &format!("{connection}/browse"), &body).await.expect(200);
    let listed: Vec<_> = objects["items"].as_array().unwrap().iter().map(|object| object["name"].clone()).collect();
    assert_eq!(listed, ["sub/b.txt", "sub/deep/c d ü.txt"], "{objects}");

    let run = synced.sync().await;
    assert_eq!(run["state"], "completed", "{run}");
    assert_eq!(counts(&run), [3, 3, 0, 0, 0, 0], "{run}");
    let ids = ["a.txt", "sub/b.txt", "sub/deep/c d ü.txt"].map(|path| format!("{prefix}{path}"));
    assert_eq!(synced.ids().await, ids);
    let files = synced.files().await;
    assert_eq!((&files[2]["name"], &files[2]["state"]), (&json!("c d ü.txt"), &json!("ready")));
    assert_eq!(files[2]["metadata"]["sourcePath"], "sub/deep/c d ü.txt");
    assert_eq!(files[2]["connectionId"], json!(synced.connection));
    assert_eq!(synced.find("barnacles").await, ["b.txt"]);
    assert_eq!(synced.find("kelp").await, ["c d ü.txt"]);

    let run = synced.sync().await;
    assert_eq!(counts(&run), [3, 0, 0, 3, 0, 0], "{run}");
    assert_eq!(run["items"], 0, "{run}");

    store.put("a.txt", "The flood begins at six in the evening.").await;
    store.delete("sub/deep/c d ü.txt").await;
    store.put("sub/e.txt", "Limpets graze at night.").await;
    let run = synced.sync().await;
    assert_eq!(run["state"], "completed", "{run}");
    assert_eq!(counts(&run), [3, 1, 1, 1, 1, 0], "{run}");
    let files = synced.files().await;
    assert_eq!((files.len(), &files[0]["version"]), (3, &json!(2)));
    assert_eq!(synced.find("flood").await, ["a.txt"]);
    assert_eq!(synced.find("limpets").await, ["e.txt"]);
    assert!(synced.find("kelp").await.is_empty() && synced.find("ebb").await.is_empty());
    synced.app.stop().await;
}

#[actix_web::test]
async fn files_stay_in_step_with_a_bucket_of_s3() {
    let store = SeaweedFs::start().await;
    let synced = Synced::start("s3", store.s3_settings(), s3_credentials(), json!({})).await;
    assert_in_step(&store, synced, "docs/").await;
}

#[actix_web::test]
async fn files_stay_in_step_with_webdav() {
    let store = SeaweedFs::start().await;
    let settings = json!({ "url": store.webdav, "root": format!("/buckets/{BUCKET}") });
    let synced = Synced::start("webdav", settings, Value::Null, json!({})).await;
    assert_in_step(&store, synced, "").await;
}

#[actix_web::test]
async fn files_stay_in_step_with_sftp() {
    let store = SeaweedFs::start().await;
    let credentials = json!({ "username": "nvisy", "password": SFTP_PASSWORD });
    let synced = Synced::start("sftp", store.sftp_settings(), credentials, json!({})).await;
    assert_in_step(&store, synced, "").await;
}

#[actix_web::test]
async fn files_stay_in_step_with_a_container_of_azure_by_key() {
    let store = Azurite::start().await;
    let synced = Synced::start("azure_blob", store.settings(), json!({ "accountKey": AZURE_KEY }), json!({})).await;
    assert_in_step(&store, synced, "docs/").await;
}

#[actix_web::test]
async fn container_of_azure_is_read_with_a_shared_access_signature() {
    let store = Azurite::start().await;
    store.put("a.txt", "The ebb begins at noon.").await;
    let synced = Synced::start("azure_blob", store.settings(), json!({ "sasToken": AZURE_SAS }), json!({})).await;
    assert_eq!(counts(&synced.sync().await), [1, 1, 0, 0, 0, 0]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn files_stay_in_step_with_a_bucket_of_google() {
    let store = FakeGcs::start().await;
    let synced = Synced::start("gcs", store.settings(), Value::Null, json!({})).await;
    assert_in_step(&store, synced, "docs/").await;
}

#[actix_web::test]
async fn files_stay_in_step_with_a_folder() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let path = folder.0.path().to_str().unwrap().to_owned();
    let app = TestApp::start_with_worker(&[("NVISY_OUTBOUND_LOCAL_FOLDERS", &path)]).await;
    let synced = Synced::of(app, "local_folder", json!({ "path": path }), Value::Null, json!({})).await;
    assert_in_step(&folder, synced, "").await;
}

#[actix_web::test]
async fn folder_is_read_below_the_operators_folders_only_and_without_links() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("secret.txt"), "secret").unwrap();
    fs::write(inside.path().join("open.txt"), "Mussels filter water.").unwrap();
    std::os::unix::fs::symlink(outside.path(), inside.path().join("linked")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.txt"), inside.path().join("link.txt")).unwrap();
    let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"bad-\xff.txt");
    fs::write(inside.path().join(name), "x").unwrap();
    let path = inside.path().to_str().unwrap().to_owned();
    let app = TestApp::start_with_worker(&[("NVISY_OUTBOUND_LOCAL_FOLDERS", &path)]).await;
    let synced = Synced::of(app, "local_folder", json!({ "path": path }), Value::Null, json!({})).await;
    let run = synced.sync().await;
    assert_eq!(run["state"], "completed_with_errors", "{run}");
    assert_eq!(counts(&run), [2, 1, 0, 0, 0, 1], "{run}");
    assert_eq!(synced.failed_objects(&run).await[0]["code"], "invalid_name");
    let files = synced.files().await;
    assert_eq!((files.len(), &files[0]["externalId"]), (1, &json!("open.txt")));
    assert_eq!(files[0]["acl"]["mode"].as_str().unwrap().len(), 4, "{}", files[0]);

    for path in [outside.path().to_str().unwrap().to_owned(), format!("{path}/linked"), format!("{path}/../")] {
        let body =
            json!({ "name": format!("n{}", path.len()), "provider": "local_folder", "settings": { "path": path } });
        let created = synced.app.post(&synced.ada, &synced.path("connections"), &body).await;
        if created.status == 422 {
            continue;
        }
        let id = created.expect(201)["id"].as_str().unwrap().to_owned();
        let check = synced.path(&format!("connections/{id}/check"));
        let checked = synced.app.post(&synced.ada, &check, &json!({})).await.expect(200);
        assert_eq!(checked["check"]["state"], "failed", "{path}: {checked}");
    }
    synced.app.stop().await;
}

#[actix_web::test]
async fn dry_run_counts_what_would_change_and_writes_nothing() {
    let store = SeaweedFs::start().await;
    for name in ["a", "b", "c"] {
        store.put(&format!("{name}.txt"), format!("Text {name}.")).await;
    }
    let synced = Synced::start("s3", store.s3_settings(), s3_credentials(), json!({})).await;
    let dry_run = async || {
        let run = synced.start_sync(json!({ "dryRun": true })).await;
        synced.ended(&run).await
    };
    let run = dry_run().await;
    assert_eq!((counts(&run), &run["sync"]["dryRun"]), ([3, 3, 0, 0, 0, 0], &json!(true)), "{run}");
    assert!(synced.files().await.is_empty());
    assert_eq!(synced.app.count("source_object").await, 0);

    synced.sync().await;
    store.put("a.txt", "Another, longer text.").await;
    store.delete("b.txt").await;
    store.put("d.txt", "New.").await;
    assert_eq!(counts(&dry_run().await), [3, 1, 1, 1, 1, 0]);
    assert_eq!(synced.ids().await, ["docs/a.txt", "docs/b.txt", "docs/c.txt"]);
    assert_eq!(counts(&synced.sync().await), [3, 1, 1, 1, 1, 0]);

    let path = synced.path(&format!("pipelines/{}/runs", synced.pipeline));
    let body = json!({ "dryRun": true, "filter": { "field": "tags", "op": "in", "value": ["x"] } });
    synced.app.post(&synced.ada, &path, &body).await.problem(422, "invalid_body");
    synced.app.stop().await;
}

#[actix_web::test]
async fn patterns_and_sizes_select_objects() {
    let store = SeaweedFs::start().await;
    for key in ["in/a.txt", "in/b.md", "in/archive/c.txt", "other/d.txt"] {
        store.put(key, "short").await;
    }
    store.put("in/large.txt", "x".repeat(2000)).await;
    let source = json!({
        "stream": { "path": "in/" }, "include": ["**/*.txt"], "exclude": ["**/archive/**"], "maxBytes": 1000,
    });
    let synced = Synced::start("s3", store.s3_settings(), s3_credentials(), source).await;
    let run = synced.sync().await;
    assert_eq!(run["state"], "completed_with_errors", "{run}");
    assert_eq!(counts(&run), [2, 1, 0, 0, 0, 1], "{run}");
    assert_eq!(synced.ids().await, ["docs/in/a.txt"]);
    let failed = synced.failed_objects(&run).await;
    assert_eq!((&failed[0]["code"], &failed[0]["externalId"]), (&json!("too_large"), &json!("docs/in/large.txt")));
    synced.app.stop().await;
}

#[actix_web::test]
async fn media_types_select_objects() {
    let store = SeaweedFs::start().await;
    for key in ["a.txt", "b.MD", "c.json", "unknown"] {
        store.put(key, "short").await;
    }
    let source = json!({ "mediaTypes": ["text/*"] });
    let synced = Synced::start("s3", store.s3_settings(), s3_credentials(), source).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [2, 2, 0, 0, 0, 0]), "{run}");
    assert_eq!(synced.ids().await, ["docs/a.txt", "docs/b.MD"]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn deletions_are_ignored_or_marked_by_setting() {
    let store = SeaweedFs::start().await;
    store.put("a.txt", "Alpha.").await;
    store.put("b.txt", "Beta.").await;
    let source = json!({ "deletions": "mark" });
    let synced = Synced::start("s3", store.s3_settings(), s3_credentials(), source).await;
    synced.sync().await;
    store.delete("b.txt").await;
    assert_eq!(counts(&synced.sync().await), [1, 0, 0, 1, 1, 0]);
    let files = synced.files().await;
    assert_eq!((&files[0]["sourceDeletedAt"], files[1]["sourceDeletedAt"].is_string()), (&Value::Null, true));
    assert_eq!(synced.find("beta").await, ["b.txt"]);
    // It is there again, and the file is that of before.
    store.put("b.txt", "Beta.").await;
    let run = synced.sync().await;
    assert_eq!(run["sync"]["deleted"], 0, "{run}");
    assert_eq!((synced.files().await[1]["sourceDeletedAt"].clone(), synced.files().await.len()), (Value::Null, 2));
    synced.app.stop().await;
}

#[actix_web::test]
async fn file_of_two_pipelines_stays_while_one_of_them_has_its_object() {
    let store = SeaweedFs::start().await;
    store.put("in/a.txt", "Alpha.").await;
    store.put("in/keep.txt", "Keep.").await;
    let mut synced = Synced::start("s3", store.s3_settings(), s3_credentials(), json!({})).await;
    synced.sync().await;
    let first = synced.pipeline.clone();
    synced.pipeline = synced.add_pipeline("other", json!({ "stream": { "path": "in" } })).await;
    let run = synced.sync().await;
    assert_eq!(counts(&run), [2, 2, 0, 0, 0, 0], "{run}");
    assert_eq!(synced.files().await.len(), 2, "both pipelines have the same files");
    let users = synced.path(&format!("connections/{}/pipelines", synced.connection));
    let users = synced.app.get(&synced.ada, &users).await.expect(200);
    assert_eq!(users["items"].as_array().unwrap().len(), 2, "{users}");
    store.delete("in/a.txt").await;
    assert_eq!(counts(&synced.sync().await), [1, 0, 0, 1, 1, 0]);
    assert_eq!(synced.files().await.len(), 2, "the first pipeline has not seen the deletion yet");
    synced.pipeline = first;
    assert_eq!(counts(&synced.sync().await), [1, 0, 0, 1, 1, 0]);
    assert_eq!(synced.ids().await, ["docs/in/keep.txt"]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn one_sync_of_a_pipeline_runs_at_a_time_and_can_be_cancelled() {
    let store = SeaweedFs::start().await;
    store.put("a.txt", "Alpha.").await;
    // Without a worker, runs stay open.
    let app = TestApp::start_with(&[LOOPBACK]).await;
    let mut synced = Synced::of(app, "s3", store.s3_settings(), s3_credentials(), json!({})).await;
    let run = synced.start_sync(json!({})).await;
    let path = synced.path(&format!("pipelines/{}/runs", synced.pipeline));
    synced.app.post(&synced.ada, &path, &json!({})).await.problem(409, "sync_running");
    let cancel = synced.path(&format!("runs/{run}/cancel"));
    synced.app.post(&synced.ada, &cancel, &json!({})).await.expect(200);
    let next = synced.start_sync(json!({})).await;
    synced.app.start_worker().await;
    assert_eq!(counts(&synced.ended(&next).await), [1, 1, 0, 0, 0, 0]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn schedule_starts_syncs() {
    let store = SeaweedFs::start().await;
    store.put("a.txt", "Alpha.").await;
    let source = json!({ "schedule": { "cron": "* * * * *" }, "jitterSeconds": 0 });
    let synced = Synced::start("s3", store.s3_settings(), s3_credentials(), source).await;
    synced.app.sql("update pipeline set next_run_at = now() where next_run_at is not null").await;
    let run = crate::support::wait_until("a scheduled sync ended", async || {
        let runs = synced.app.get(&synced.ada, &synced.path("runs?trigger=schedule")).await.expect(200);
        let run = runs["items"][0].clone();
        run["finishedAt"].is_string().then_some(run)
    })
    .await;
    assert_eq!(counts(&run), [1, 1, 0, 0, 0, 0]);
    let disabled = synced.app.request(Method::PATCH, &synced.path(&format!("pipelines/{}", synced.pipeline)));
    send(disabled.bearer_auth(&synced.ada.token).json(&json!({ "state": "disabled" }))).await.expect(200);
    synced.app.stop().await;
}
