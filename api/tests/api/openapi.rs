use std::{collections::BTreeSet, fs};

use reqwest::Method;

use crate::support::{Operation, TestApp, send};

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
        // Without any `error_code` apistos lists all errors.
        assert!(object["responses"].get("405").is_none(), "{id}: add its error codes");
    }
    for reference in document.references() {
        assert!(document.resolve(&reference).is_some(), "{reference} does not resolve");
    }
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
    for path in ["/api/openapi.json", "/api/scalar", "/api/scalar/scalar.js"] {
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
