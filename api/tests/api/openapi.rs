use std::{collections::BTreeSet, fs};

use nvisy_shared::clock;
use reqwest::Method;
use serde_json::json;

use crate::support::{Document, Operation, TestApp, send};

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/openapi.json");

/// The API changes only on purpose.
#[actix_web::test]
async fn document_matches_the_committed_snapshot() {
    let app = TestApp::start().await;
    let document = serde_json::to_string_pretty(app.openapi().await.json()).unwrap() + "\n";
    app.stop().await;
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(SNAPSHOT, &document).unwrap();
    }
    let committed = fs::read_to_string(SNAPSHOT).unwrap_or_default();
    assert!(
        document == committed,
        "the API has changed: run with UPDATE_SNAPSHOTS=1, review the difference and commit it"
    );
}

#[actix_web::test]
async fn every_operation_is_complete_and_every_reference_resolves() {
    let app = TestApp::start().await;
    let document = app.openapi().await;
    let tags: Vec<_> = document.json()["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for Operation { id, object, .. } in document.operations() {
        assert!(ids.insert(id.clone()), "{id} exists twice");
        assert!(object["summary"].is_string(), "{id} has no summary");
        assert_eq!(object["tags"].as_array().map(Vec::len), Some(1), "{id} has one tag");
        assert!(tags.contains(&&object["tags"][0]), "{id} has a tag without a description");
    }
    for reference in document.references() {
        assert!(document.resolve(&reference).is_some(), "{reference} does not resolve");
    }
    app.stop().await;
}

/// Pasted examples are of the right form: what they name need not exist.
#[actix_web::test]
async fn documented_examples_are_accepted() {
    let app = TestApp::start().await;
    let document = app.openapi().await;
    let mut examples = 0;
    for operation in document.operations() {
        let Some(mut example) = operation.example(&document).filter(|example| *example != json!({})) else { continue };
        // The example's own expiry passes one day.
        if let Some(expiry) = example.get_mut("expiresAt") {
            *expiry = json!(clock::now() + chrono::Days::new(30));
        }
        let ada = app.create_account(&format!("ada{examples}")).await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        let path = operation.path_with_unknown_ids(&workspace);
        let request = app.request(operation.method.clone(), &path).bearer_auth(&ada.token).json(&example);
        let response = send(request).await;
        assert!(!matches!(response.status.as_u16(), 400 | 415 | 422), "{}: {}", operation.id, response.text);
        examples += 1;
    }
    assert!(examples > 8, "the examples are missing");
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn version_3_1_describes_the_same_operations() {
    let app = TestApp::start().await;
    let document = app.openapi().await;
    let newer = send(app.request(Method::GET, "/api/openapi-3.1.json")).await.expect(200);
    assert_eq!((&document.json()["openapi"], &newer["openapi"]), (&json!("3.0.3"), &json!("3.1.1")));
    assert!(!newer.to_string().contains("\"nullable\""), "3.1 has no `nullable`");
    let ids = |document: &Document| document.operations().into_iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(&Document::new(newer)), ids(&document));
    app.stop().await;
}

#[actix_web::test]
async fn reference_page_loads_nothing_from_other_hosts() {
    let app = TestApp::start().await;
    let page = send(app.request(Method::GET, "/api/scalar")).await;
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
    app.stop().await;
}

#[actix_web::test]
async fn static_bodies_have_tags_and_honour_accept_encoding() {
    let app = TestApp::start().await;
    for path in ["/api/openapi.json", "/api/openapi-3.1.json", "/api/scalar", "/api/scalar/scalar.js"] {
        let get = |encoding: &'static str| app.request(Method::GET, path).header("accept-encoding", encoding);
        let plain = app.request(Method::GET, path).send().await.unwrap();
        assert!(!plain.headers().contains_key("content-encoding"), "{path}");
        assert_eq!(plain.headers()["vary"], "accept-encoding");
        let plain_tag = plain.headers()["etag"].clone();
        let plain = plain.bytes().await.unwrap();
        let gzip = get("gzip, deflate, br").send().await.unwrap();
        assert_eq!(gzip.headers()["content-encoding"], "gzip", "{path}");
        let gzip_tag = gzip.headers()["etag"].clone();
        assert_ne!(plain_tag, gzip_tag, "different bytes have different strong tags");
        let gzip = gzip.bytes().await.unwrap();
        assert!(gzip.starts_with(&[0x1f, 0x8b]) && gzip.len() < plain.len(), "{path}");
        for refused in ["identity", "br", "gzip;q=0", "*;q=0.1, gzip;q=0"] {
            let response = get(refused).send().await.unwrap();
            assert!(!response.headers().contains_key("content-encoding"), "{path} {refused}");
            assert_eq!(response.bytes().await.unwrap(), plain, "{path} {refused}");
        }
        for (encoding, tag, other) in [("gzip", &gzip_tag, &plain_tag), ("identity", &plain_tag, &gzip_tag)] {
            let current = get(encoding).header("if-none-match", tag).send().await.unwrap();
            assert_eq!((current.status().as_u16(), &current.headers()["etag"]), (304, tag), "{path} {encoding}");
            assert_eq!(current.bytes().await.unwrap(), "");
            let stale = get(encoding).header("if-none-match", other).send().await.unwrap();
            assert_eq!(stale.status(), 200, "{path} {encoding}");
        }
    }
    app.stop().await;
}
