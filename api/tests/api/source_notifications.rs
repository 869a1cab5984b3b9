//! Notifications of systems behind connections: only the objects that they name are synchronised.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use nvisy_shared::clock;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    support::{
        QuickWorker, TestApp,
        object_store::{SeaweedFs, s3_credentials},
        send,
        synced::{LOOPBACK, Synced, counts},
        wait_until,
    },
    sync_faults::{listing, scripted_s3},
};

/// How a test notifies of changes.
pub struct Notifier<'a> {
    app: &'a TestApp,
    path: String,
    secret: Vec<u8>,
}

/// HMAC as RFC 2104 has it, so that the signatures are not those of the code under test.
fn hmac_sha256(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(data).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

impl<'a> Notifier<'a> {
    pub async fn new(synced: &'a Synced) -> Self {
        let path = synced.path(&format!("connections/{}/notifications", synced.connection));
        Self::with_access(&synced.app, &synced.app.post(&synced.ada, &path, &json!({})).await.expect(200))
    }

    /// With the path and the secret of a response.
    pub fn with_access(app: &'a TestApp, access: &Value) -> Self {
        let secret = access["secret"].as_str().unwrap().strip_prefix("whsec_").unwrap();
        Self { app, path: access["path"].as_str().unwrap().to_owned(), secret: BASE64.decode(secret).unwrap() }
    }

    /// The headers of a signature at this time.
    fn signed(&self, body: &str, time: i64) -> [(&'static str, String); 3] {
        let tag = hmac_sha256(&self.secret, format!("msg_1.{time}.{body}").as_bytes());
        let signature = format!("v1,{}", BASE64.encode(tag));
        [("webhook-id", "msg_1".to_owned()), ("webhook-timestamp", time.to_string()), ("webhook-signature", signature)]
    }

    fn request(&self, body: &str, headers: &[(&str, String)]) -> RequestBuilder {
        let request = self.app.request(Method::POST, &self.path);
        headers.iter().fold(request.body(body.to_owned()), |request, (name, value)| request.header(*name, value))
    }

    pub async fn notify(&self, body: &Value) {
        let body = body.to_string();
        let headers = self.signed(&body, clock::now().timestamp());
        assert_eq!(send(self.request(&body, &headers)).await.status, 204);
    }
}

/// The sync that notifications have started, once it has ended.
async fn notified_run(synced: &Synced, before: usize) -> Value {
    wait_until("a notified sync ended", async || {
        let runs = synced.app.get(&synced.ada, &synced.path("runs?trigger=notification")).await.expect(200);
        let runs = runs["items"].as_array().unwrap().clone();
        (runs.len() > before && runs[0]["finishedAt"].is_string()).then(|| runs[0].clone())
    })
    .await
}

#[actix_web::test]
async fn notification_synchronises_the_objects_that_it_names_alone() {
    let store = SeaweedFs::start().await;
    for (key, content) in [("in/a.txt", "Alpha."), ("in/b.txt", "Beta."), ("in/c d.txt", "Gamma.")] {
        store.put(key, content).await;
    }
    let app = TestApp::start_with(&[LOOPBACK]).await;
    let worker = QuickWorker::start(&app).await;
    let source = json!({ "stream": { "path": "in" } });
    let synced = Synced::of(app, "s3", store.s3_settings(), s3_credentials(), source).await;
    assert_eq!(counts(&synced.sync().await), [3, 3, 0, 0, 0, 0]);
    let notifier = Notifier::new(&synced).await;

    // One changed, one deleted, one new, one that nothing names; one outside of the stream.
    store.put("in/a.txt", "The ebb begins at noon.").await;
    store.put("in/b.txt", "This change is not named.").await;
    store.delete("in/c d.txt").await;
    store.put("in/e.txt", "Limpets graze at night.").await;
    store.put("out/f.txt", "Outside.").await;
    let record = json!({ "eventName": "ObjectRemoved:Delete", "s3": { "object": { "key": "in/c+d.txt" } } });
    notifier.notify(&json!({ "Records": [record] })).await;
    let keys = json!(["in/a.txt", "in/e.txt", "out/f.txt", "in/../x", "in/never.txt"]);
    notifier.notify(&json!({ "type": "objects.changed", "data": { "keys": keys } })).await;
    let found = async || {
        let found = (synced.find("ebb").await, synced.find("limpets").await, synced.find("gamma").await);
        (found == (vec!["a.txt".to_owned()], vec!["e.txt".to_owned()], Vec::new())).then_some(())
    };
    wait_until("the named objects are in step", found).await;
    assert_eq!(synced.find("beta").await, ["b.txt"]);
    assert!(synced.find("outside").await.is_empty());
    // The next whole sync finds the rest.
    synced.app.wait_until_no_jobs_are_left().await;
    let run = synced.sync().await;
    assert_eq!((run["sync"]["changed"].as_i64(), run["sync"]["new"].as_i64()), (Some(1), Some(0)), "{run}");
    assert_eq!(synced.app.count("source_notification").await, 0);
    worker.stop().await;
    synced.app.stop().await;
}

#[actix_web::test]
async fn notification_without_the_current_path_and_signature_is_rejected() {
    let store = SeaweedFs::start().await;
    let app = TestApp::start_with(&[LOOPBACK]).await;
    let synced = Synced::of(app, "s3", store.s3_settings(), s3_credentials(), json!({})).await;
    let first = Notifier::new(&synced).await;
    let body = json!({ "data": { "keys": ["a.txt"] } }).to_string();
    let now = clock::now().timestamp();
    for headers in [first.signed("{}", now), first.signed(&body, now - 3_600), first.signed(&body, now + 3_600)] {
        send(first.request(&body, &headers)).await.problem(403, "signature_refused");
    }
    send(first.request(&body, &[])).await.problem(403, "signature_refused");
    let headers = first.signed(&body, now);
    for path in ["/api/v1/notifications/x".to_owned(), format!("{}0", first.path), first.path.replace('-', "-0")] {
        let other = Notifier { path, ..Notifier::new(&synced).await };
        send(other.request(&body, &headers)).await.problem(404, "not_found");
    }
    // The path and the secret before are of no use any more.
    let current = Notifier::new(&synced).await;
    send(first.request(&body, &headers)).await.problem(404, "not_found");
    send(current.request(&body, &headers)).await.problem(403, "signature_refused");
    send(current.request("{\"data\":", &current.signed("{\"data\":", now))).await.problem(400, "malformed_json");
    let large = "x".repeat(70_000);
    send(current.request(&large, &current.signed(&large, now))).await.problem(413, "payload_too_large");
    assert_eq!(synced.app.count("source_notification").await, 0);
    current.notify(&json!({ "data": { "keys": ["a.txt", "a.txt"] } })).await;
    assert_eq!(synced.app.count("source_notification").await, 1);
    let path = synced.path(&format!("connections/{}/notifications", synced.connection));
    assert_eq!(synced.app.delete(&synced.ada, &path).await.status, 204);
    send(current.request(&body, &current.signed(&body, now))).await.problem(404, "not_found");
    synced.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn notification_of_a_source_without_keys_fails_its_sync_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "Alpha.").unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let app = TestApp::start_with(&[("NVISY_OUTBOUND_LOCAL_FOLDERS", &path)]).await;
    let worker = QuickWorker::start(&app).await;
    let synced = Synced::of(app, "local_folder", json!({ "path": path }), Value::Null, json!({})).await;
    assert_eq!(counts(&synced.sync().await), [1, 1, 0, 0, 0, 0]);
    Notifier::new(&synced).await.notify(&json!({ "data": { "keys": ["a.txt"] } })).await;
    let run = notified_run(&synced, 0).await;
    assert_eq!((&run["state"], &run["failure"]["code"]), (&json!("failed"), &json!("source_rejected")), "{run}");
    assert_eq!(synced.app.count("source_notification").await, 0);
    worker.stop().await;
    synced.app.stop().await;
}

#[actix_web::test]
async fn notification_of_too_many_objects_lists_the_source() {
    let store = SeaweedFs::start().await;
    store.put("a.txt", "Alpha.").await;
    store.put("b.txt", "Beta.").await;
    let app = TestApp::start_with(&[LOOPBACK]).await;
    let worker = QuickWorker::start(&app).await;
    let synced = Synced::of(app, "s3", store.s3_settings(), s3_credentials(), json!({})).await;
    assert_eq!(counts(&synced.sync().await), [2, 2, 0, 0, 0, 0]);
    store.delete("a.txt").await;
    store.put("c.txt", "Gamma.").await;
    let mut keys: Vec<String> = (0..=1_000).map(|at| format!("{at}.txt")).collect();
    keys.push("c.txt".to_owned());
    Notifier::new(&synced).await.notify(&json!({ "data": { "keys": keys } })).await;
    let run = notified_run(&synced, 0).await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [2, 1, 0, 1, 1, 0]), "{run}");
    assert_eq!(synced.app.count("source_notification").await, 0);
    worker.stop().await;
    synced.app.stop().await;
}

#[actix_web::test]
async fn unchanged_object_of_a_bucket_with_versions_is_not_read_after_a_notification() {
    let reads = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reads);
    let endpoint = scripted_s3(move |target, _| match target {
        _ if target.contains("list-type") => (200, String::new(), listing(&["a"], None)),
        // The version, which no listing has.
        _ if target.starts_with("HEAD") => {
            let headers = "etag: \"a\"\r\nx-amz-version-id: v1\r\ncontent-length: 5\r\n";
            (200, headers.to_owned(), String::new())
        }
        _ => {
            count.fetch_add(1, Ordering::SeqCst);
            (200, String::new(), "12345".to_owned())
        }
    })
    .await;
    let app = TestApp::start_with(&[LOOPBACK]).await;
    let worker = QuickWorker::start(&app).await;
    let settings = json!({ "bucket": "docs", "endpoint": endpoint });
    let synced = Synced::of(app, "s3", settings, s3_credentials(), json!({})).await;
    assert_eq!(counts(&synced.sync().await), [1, 1, 0, 0, 0, 0]);
    let before = reads.load(Ordering::SeqCst);
    Notifier::new(&synced).await.notify(&json!({ "data": { "keys": ["a"] } })).await;
    let run = notified_run(&synced, 0).await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [1, 0, 0, 1, 0, 0]), "{run}");
    assert_eq!(reads.load(Ordering::SeqCst), before);
    worker.stop().await;
    synced.app.stop().await;
}

#[actix_web::test]
async fn notifications_of_a_removed_source_start_no_sync() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let app = TestApp::start_with(&[("NVISY_OUTBOUND_LOCAL_FOLDERS", &path)]).await;
    let synced = Synced::of(app, "local_folder", json!({ "path": path }), Value::Null, json!({})).await;
    Notifier::new(&synced).await.notify(&json!({ "data": { "keys": ["a.txt"] } })).await;
    assert_eq!(synced.app.count("source_notification").await, 1);
    synced.redefine(&synced.definition("renamed", json!({}))).await;
    assert_eq!(synced.app.count("source_notification").await, 0);
    synced.app.stop().await;
}
