//! Systems that are not as they should be in the middle of a sync: names that no database takes, buckets that vanish, certificates of
//! other names.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use serde_json::{Value, json};

use crate::{
    outbound_proxy::start_model,
    support::{
        TestApp, create_authority,
        object_store::s3_credentials,
        spawn,
        synced::{LOOPBACK, Synced, counts},
        web_server::{WebResponse, WebServer},
    },
    sync_faults::{listing, scripted_s3},
};

#[actix_web::test]
async fn names_with_nul_and_very_long_ones_are_cleaned_or_fail_alone() {
    let server = WebServer::start().await;
    let long = "x".repeat(2_000);
    let items = json!([
        { "id": "nul", "title": "Nul\0 title", "body": "Alpha." },
        { "id": "long", "title": format!("Long {long}"), "body": "Beta." },
        { "id": "i\0d", "title": "An id with NUL", "body": "Gamma." },
        { "id": long, "title": "A long id", "body": "Delta." },
    ]);
    for list in ["inline", "fetched"] {
        server.set(&format!("/api/{list}"), WebResponse::json(&items));
    }
    for at in 0..2 {
        let path = format!("/api/fetched/{}", items[at]["id"].as_str().unwrap());
        server.set(&path, WebResponse::json(&items[at]));
    }
    let settings = json!({ "baseUrl": format!("{}/api/", server.url) });
    let stream = json!({ "path": "inline", "name": "/title", "content": "/body" });
    let mut synced = Synced::start("rest", settings, Value::Null, json!({ "stream": stream })).await;
    for (place, list) in ["inline", "fetched"].into_iter().enumerate() {
        if list == "fetched" {
            let stream = json!({ "path": list, "name": "/title", "content": "/body", "detail": "fetched/{id}" });
            synced.pipeline = synced.add_pipeline(list, json!({ "stream": stream })).await;
        }
        let run = synced.sync().await;
        assert_eq!(run["state"], "completed_with_errors", "{run}");
        assert_eq!(counts(&run), [4, 2, 0, 0, 0, 2], "{list}: {run} {:?}", synced.failed_objects(&run).await);
        let files = synced.files().await;
        assert_eq!(files.len(), 2 * (place + 1));
        for file in &files {
            let name = file["name"].as_str().unwrap();
            assert!(name.chars().count() <= 255 && !name.contains('\0'), "{name}");
        }
    }
    assert_eq!(synced.find("alpha").await, ["Nul title.txt"]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn bucket_that_vanishes_in_the_middle_of_a_listing_deletes_nothing() {
    let is_gone = Arc::new(AtomicBool::new(false));
    let gone = Arc::clone(&is_gone);
    let keys: Vec<String> = (0..600).map(|at| format!("k{at:03}.txt")).collect();
    let endpoint = scripted_s3(move |head, _| {
        let is_next = head.contains("continuation-token");
        match (gone.load(SeqCst), head.contains("list-type")) {
            (true, true) if !is_next => {
                let keys: Vec<_> = keys.iter().map(String::as_str).collect();
                (200, String::new(), listing(&keys, Some("next")))
            }
            (true, _) => {
                (404, String::new(), "<Error><Code>NoSuchBucket</Code><Message>gone</Message></Error>".to_owned())
            }
            (false, true) => {
                let keys: Vec<_> = keys.iter().map(String::as_str).collect();
                (200, String::new(), listing(&keys, None))
            }
            (false, false) => (200, String::new(), "12345".to_owned()),
        }
    })
    .await;
    let settings = json!({ "bucket": "docs", "endpoint": endpoint });
    // Few of them are wanted, so that few files are made.
    let source = json!({ "include": ["k00?.txt", "k59?.txt"] });
    let synced = Synced::start("s3", settings, s3_credentials(), source).await;
    assert_eq!(counts(&synced.sync().await), [20, 20, 0, 0, 0, 0]);
    is_gone.store(true, SeqCst);
    let run = synced.start_sync(json!({})).await;
    let reason = synced.waits_because(&run).await;
    assert!(reason.contains("connection `store`"), "{reason}");
    assert_eq!(synced.ids().await.len(), 20);
    is_gone.store(false, SeqCst);
    assert_eq!(synced.check().await["state"], "ok");
    let run = synced.ended(&run).await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [20, 0, 0, 20, 0, 0]), "{run}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn server_with_the_certificate_of_another_name_is_not_called_until_it_is_changed() {
    let app = TestApp::start_with(&[LOOPBACK]).await;
    let folder = app.deployment.keys().folder().to_owned();
    create_authority(&folder, "elsewhere.invalid");
    let (address, server) = start_model(&folder);
    let authority = folder.join("authority.pem").display().to_string();
    let worker = spawn("nvisy-worker", &app.deployment, &[LOOPBACK, ("SSL_CERT_FILE", &authority)]);
    let settings = json!({ "baseUrl": format!("https://{address}/") });
    let mut synced = Synced::of(app, "rest", settings, Value::Null, json!({ "stream": { "path": "list" } })).await;
    let run = synced.start_sync(json!({})).await;
    let reason = synced.waits_because(&run).await;
    assert!(reason.contains("does not accept the connection") && reason.contains("certificate"), "{reason}");
    let cancel = synced.path(&format!("runs/{run}/cancel"));
    synced.app.post(&synced.ada, &cancel, &json!({})).await.expect(200);
    let checked = synced.check().await;
    assert!(checked["state"] == "failed" && checked.to_string().contains("certificate"), "{checked}");
    let settings = json!({ "bucket": "docs", "endpoint": format!("https://{address}") });
    let body = json!({ "name": "s3", "provider": "s3", "settings": settings, "credentials": s3_credentials() });
    let store = synced.app.post(&synced.ada, &synced.path("connections"), &body).await.expect(201);
    synced.connection = store["id"].as_str().unwrap().to_owned();
    let checked = synced.check().await;
    assert!(checked["state"] == "failed" && checked.to_string().contains("certificate"), "{checked}");
    drop(worker);
    server.stop(true).await;
    synced.app.stop_and_drop_jobs().await;
}
