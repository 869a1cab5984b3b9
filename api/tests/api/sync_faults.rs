//! Stores that fail, lie, or are not what a connection says.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use crate::support::{
    TestApp,
    object_store::{FakeGcs, SFTP_PASSWORD, SeaweedFs, s3_credentials},
    synced::{LOOPBACK, Synced, counts},
};

#[actix_web::test]
async fn sync_with_wrong_credentials_waits_until_they_are_right() {
    let store = SeaweedFs::start().await;
    store.put("a.txt", "Alpha.").await;
    let wrong = json!({ "accessKeyId": "test-key", "secretAccessKey": "hunter2-wrong" });
    let synced = Synced::start("s3", store.s3_settings(), wrong, json!({})).await;
    let checked = synced.check().await;
    assert_eq!(
        (&checked["state"], &checked["steps"][0]["ok"], &checked["steps"][1]["ok"]),
        (&json!("failed"), &json!(true), &json!(false)),
        "{checked}"
    );
    let run = synced.start_sync(json!({})).await;
    let reason = synced.waits_because(&run).await;
    assert!(reason.contains("connection `store`") && !reason.contains("hunter2-wrong"), "{reason}");
    let connection = synced.path(&format!("connections/{}", synced.connection));
    let blocked = synced.app.get(&synced.ada, &connection).await.expect(200);
    assert!(blocked["blocked"]["reason"].is_string(), "{blocked}");
    synced.patch_connection(json!({ "credentials": s3_credentials() })).await;
    assert_eq!(counts(&synced.ended(&run).await), [1, 1, 0, 0, 0, 0]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn missing_bucket_is_named_by_the_check_and_deletes_nothing() {
    let store = SeaweedFs::start().await;
    store.put("a.txt", "Alpha.").await;
    let synced = Synced::start("s3", store.s3_settings(), s3_credentials(), json!({})).await;
    synced.sync().await;
    synced.patch_connection(json!({ "settings": { "bucket": "gone", "endpoint": store.s3 } })).await;
    let checked = synced.check().await;
    assert_eq!((&checked["state"], &checked["steps"][1]["name"]), (&json!("failed"), &json!("list")), "{checked}");
    let run = synced.start_sync(json!({})).await;
    synced.waits_because(&run).await;
    assert_eq!(synced.ids().await, ["docs/a.txt"]);
    let cancel = synced.path(&format!("runs/{run}/cancel"));
    synced.app.post(&synced.ada, &cancel, &json!({})).await.expect(200);
    synced.app.stop().await;
}

#[actix_web::test]
async fn listing_without_objects_deletes_files_only_if_the_source_says_so() {
    let store = SeaweedFs::start().await;
    store.put("a.txt", "Alpha.").await;
    let mut synced = Synced::start("s3", store.s3_settings(), s3_credentials(), json!({})).await;
    synced.sync().await;
    store.delete("a.txt").await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], &run["failure"]["code"]), (&json!("failed"), &json!("source_rejected")), "{run}");
    assert_eq!(synced.ids().await, ["docs/a.txt"]);
    let path = synced.path(&format!("pipelines/{}", synced.pipeline));
    assert_eq!(synced.app.delete(&synced.ada, &path).await.status, 204);
    synced.pipeline = synced.add_pipeline("empty", json!({ "allowEmpty": true })).await;
    store.put("a.txt", "Alpha.").await;
    assert_eq!(counts(&synced.sync().await), [1, 1, 0, 0, 0, 0]);
    store.delete("a.txt").await;
    assert_eq!(counts(&synced.sync().await), [0, 0, 0, 0, 1, 0]);
    assert!(synced.files().await.is_empty());
    synced.app.stop().await;
}

#[actix_web::test]
async fn odd_names_are_read_under_safe_names_or_fail_alone() {
    let store = FakeGcs::start().await;
    for name in ["..%2Fpasswd", "a%2F..%2Fb", "double%2F%2Fslash", "%20lead"] {
        store.put(name, "odd").await;
    }
    store.put("README.txt", "Upper.").await;
    store.put("readme.txt", "Lower.").await;
    store.put(&format!("{}.txt", "long".repeat(240)), "Long names.").await;
    store.put("bidi-%E2%80%AEfdp.exe", "Text.").await;
    let synced = Synced::start("gcs", store.settings(), Value::Null, json!({})).await;
    let run = synced.sync().await;
    assert_eq!(run["state"], "completed_with_errors", "{run}");
    assert_eq!(counts(&run), [8, 4, 0, 0, 0, 4], "{run} {:?}", synced.failed_objects(&run).await);
    for failed in synced.failed_objects(&run).await {
        assert_eq!(failed["code"], "invalid_name", "{failed}");
    }
    let files = synced.files().await;
    for file in &files {
        let name = file["name"].as_str().unwrap();
        assert!(name.chars().count() <= 255 && !name.contains('/') && !name.contains('\u{202e}'), "{name}");
    }
    assert_eq!(counts(&synced.sync().await)[3], 4, "the four files are found again by their ids");
    assert_eq!(synced.files().await.len(), 4);
    synced.app.stop().await;
}

#[actix_web::test]
async fn server_with_another_host_key_gets_no_credentials() {
    let store = SeaweedFs::start().await;
    let mut settings = store.sftp_settings();
    settings["hostKey"] = json!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ");
    let credentials = json!({ "username": "nvisy", "password": SFTP_PASSWORD });
    let synced = Synced::start("sftp", settings, credentials, json!({})).await;
    let checked = synced.check().await;
    assert_eq!(checked["steps"][1]["name"], "login", "{checked}");
    assert!(checked["steps"][1]["detail"].as_str().unwrap().contains("another host key"), "{checked}");
    assert!(!store.log().contains("nvisy"), "the server saw the user name");
    synced.patch_connection(json!({ "settings": store.sftp_settings(), "credentials": { "username": "nvisy", "password": "hunter2-wrong" } })).await;
    let checked = synced.check().await;
    let detail = checked["steps"][1]["detail"].as_str().unwrap();
    assert!(detail.contains("does not accept the credentials") && !detail.contains("hunter2"), "{checked}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn closed_addresses_are_reached_by_no_store() {
    let store = SeaweedFs::start().await;
    let port = store.s3.rsplit(':').next().unwrap().to_owned();
    let app = TestApp::start_with_worker(&[("NVISY_OUTBOUND_ALLOWED_NETWORKS", "")]).await;
    // A name, which resolves when it is called.
    let settings = json!({ "bucket": "docs", "endpoint": format!("http://localhost:{port}") });
    let synced = Synced::of(app, "s3", settings, s3_credentials(), json!({})).await;
    let run = synced.start_sync(json!({})).await;
    let reason = synced.waits_because(&run).await;
    assert!(reason.contains("not on the public internet"), "{reason}");
    for (provider, settings, credentials) in [
        ("s3", json!({ "bucket": "b", "endpoint": "http://169.254.169.254/" }), s3_credentials()),
        ("webdav", json!({ "url": "http://10.0.0.1/" }), json!({ "token": "hunter2" })),
        (
            "sftp",
            json!({ "host": "127.0.0.1", "hostKey": store.sftp_settings()["hostKey"] }),
            json!({ "username": "u", "password": "hunter2" }),
        ),
    ] {
        let body = json!({ "name": provider, "provider": provider, "settings": settings, "credentials": credentials });
        synced.app.post(&synced.ada, &synced.path("connections"), &body).await.problem(422, "invalid_body");
    }
    let cancel = synced.path(&format!("runs/{run}/cancel"));
    synced.app.post(&synced.ada, &cancel, &json!({})).await.expect(200);
    synced.app.stop().await;
}

/// A store whose answers to listings and reads a test gives: status, headers and body. It gives them by the request line with the
/// headers, and by the number of requests before.
pub async fn scripted_s3(answer: impl Fn(&str, usize) -> (u16, String, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (answer, count) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                loop {
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if !stream.read_line(&mut head).await.is_ok_and(|read| read > 0) {
                            return;
                        }
                    }
                    let (status, headers, body) = answer(&head, count.fetch_add(1, Ordering::SeqCst));
                    let length = if headers.contains("content-length") {
                        String::new()
                    } else {
                        format!("content-length: {}\r\n", body.len())
                    };
                    let response = format!("HTTP/1.1 {status} X\r\n{length}{headers}\r\n{body}");
                    if stream.get_mut().write_all(response.as_bytes()).await.is_err() || headers.contains("close") {
                        return;
                    }
                }
            });
        }
    });
    endpoint
}

pub fn listing(keys: &[&str], next: Option<&str>) -> String {
    let objects: String = keys
        .iter()
        .map(|key| format!("<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;{key}&quot;</ETag><Size>5</Size></Contents>"))
        .collect();
    let next = next.map(|token| format!("<NextContinuationToken>{token}</NextContinuationToken>")).unwrap_or_default();
    let truncated = !next.is_empty();
    format!(
        "<ListBucketResult><Name>docs</Name><IsTruncated>{truncated}</IsTruncated>{next}{objects}</ListBucketResult>"
    )
}

async fn synced_with(endpoint: &str) -> Synced {
    Synced::start("s3", json!({ "bucket": "docs", "endpoint": endpoint }), s3_credentials(), json!({})).await
}

#[actix_web::test]
async fn listing_that_goes_in_circles_fails_the_sync() {
    let keys: Vec<String> = (0..1000).map(|at| format!("k{at:04}")).collect();
    let endpoint = scripted_s3(move |target, _| {
        if target.contains("list-type") {
            let keys: Vec<_> = keys.iter().map(String::as_str).collect();
            (200, String::new(), listing(&keys, Some("again")))
        } else {
            (404, String::new(), String::new())
        }
    })
    .await;
    let synced = synced_with(&endpoint).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], &run["failure"]["code"]), (&json!("failed"), &json!("source_rejected")), "{run}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn objects_that_change_or_vanish_after_their_listing_fail_alone_and_are_retried() {
    let endpoint = scripted_s3(|target, at| match target {
        _ if target.contains("list-type") => (200, String::new(), listing(&["changed", "gone", "good", "short"], None)),
        _ if target.contains("/changed") && at < 40 => {
            let error = "<Error><Code>PreconditionFailed</Code><Message>m</Message></Error>";
            (412, String::new(), error.to_owned())
        }
        _ if target.contains("/gone") => (404, String::new(), "<Error><Code>NoSuchKey</Code></Error>".to_owned()),
        // Longer than the listing says.
        _ if target.contains("/short") => (200, String::new(), "longer".to_owned()),
        _ => (200, String::new(), "12345".to_owned()),
    })
    .await;
    let synced = synced_with(&endpoint).await;
    let run = synced.sync().await;
    assert_eq!(run["state"], "completed_with_errors", "{run}");
    assert_eq!(counts(&run), [4, 1, 0, 0, 0, 3], "{run}");
    let failed = synced.failed_objects(&run).await;
    let codes: Vec<_> = failed.iter().map(|failed| failed["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["source_changed", "source_missing", "source_changed"], "{failed:?}");
    // Only what failed is read again.
    let retry = synced.path(&format!("runs/{}/retry", run["id"].as_str().unwrap()));
    let again = synced.app.post(&synced.ada, &retry, &json!({ "code": "source_missing" })).await.expect(202);
    assert_eq!(again["sync"]["pending"], 1, "{again}");
    let run = synced.ended(run["id"].as_str().unwrap()).await;
    assert_eq!(counts(&run), [4, 1, 0, 0, 0, 3], "{run}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn busy_store_is_asked_again_when_it_says() {
    let endpoint = scripted_s3(|target, at| match target {
        _ if at < 2 => (503, "retry-after: 1\r\n".to_owned(), "<Error><Code>SlowDown</Code></Error>".to_owned()),
        _ if target.contains("list-type") => (200, String::new(), listing(&["a"], None)),
        _ => (200, String::new(), "12345".to_owned()),
    })
    .await;
    let synced = synced_with(&endpoint).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [1, 1, 0, 0, 0, 0]), "{run}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn credentials_that_expire_in_a_sync_stop_it_until_they_are_changed() {
    // The second key alone is valid after the listing.
    let endpoint = scripted_s3(|target, at| match target {
        _ if at > 0 && !target.contains("Credential=other/") => (
            400,
            String::new(),
            "<Error><Code>ExpiredToken</Code><Message>The token has expired</Message></Error>".to_owned(),
        ),
        _ if target.contains("list-type") => (200, String::new(), listing(&["a", "b"], None)),
        _ => (200, String::new(), "12345".to_owned()),
    })
    .await;
    let synced = synced_with(&endpoint).await;
    let run = synced.start_sync(json!({})).await;
    let reason = synced.waits_because(&run).await;
    assert!(reason.contains("ExpiredToken"), "{reason}");
    synced
        .patch_connection(json!({ "credentials": { "accessKeyId": "other", "secretAccessKey": "hunter2-other" } }))
        .await;
    let run = synced.ended(&run).await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [2, 2, 0, 0, 0, 0]), "{run}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn objects_beyond_the_quota_fail_and_the_others_are_read() {
    let store = SeaweedFs::start().await;
    for at in 0..4 {
        store.put(&format!("{at}.txt"), format!("Text {at}.")).await;
    }
    let app = TestApp::start_with_worker(&[LOOPBACK, ("NVISY_QUOTA_FILES", "3")]).await;
    let synced = Synced::of(app, "s3", store.s3_settings(), s3_credentials(), json!({})).await;
    let run = synced.sync().await;
    assert_eq!(counts(&run), [4, 3, 0, 0, 0, 1], "{run}");
    assert_eq!(synced.failed_objects(&run).await[0]["code"], "quota_exceeded");
    assert_eq!(synced.files().await.len(), 3);
    synced.app.stop().await;
}

#[actix_web::test]
async fn sync_whose_deletions_are_handled_is_not_listed_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "Alpha.").unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let app = TestApp::start_with(&[("NVISY_OUTBOUND_LOCAL_FOLDERS", &path)]).await;
    let mut synced = Synced::of(app, "local_folder", json!({ "path": path }), Value::Null, json!({})).await;
    let run = synced.start_sync(json!({})).await;
    // As a worker leaves the run that is killed between its last deletions and its end.
    synced.app.sql(r#"update run set checkpoint = '{ "listing": { "isDone": true, "seen": 7 } }'"#).await;
    synced.app.start_worker().await;
    let run = synced.ended(&run).await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [0; 6]), "{run}");
    assert_eq!(counts(&synced.sync().await), [1, 1, 0, 0, 0, 0]);
    synced.app.stop().await;
}
