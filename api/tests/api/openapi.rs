use std::{collections::BTreeSet, fs};

use reqwest::Method;
use serde_json::Value;

use crate::support::app::{TestApp, send};

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/openapi.json");

/// What clients rely on changes only on purpose.
#[actix_web::test]
async fn document_matches_the_committed_snapshot() {
    let app = TestApp::start().await;
    let document = serde_json::to_string_pretty(&app.document().await).unwrap() + "\n";
    app.stop().await;
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(SNAPSHOT, &document).unwrap();
    }
    let committed = fs::read_to_string(SNAPSHOT).unwrap_or_default();
    assert!(
        document == committed,
        "the API has changed: run with UPDATE_SNAPSHOTS=1, look at the difference, commit it"
    );
}

#[actix_web::test]
async fn every_operation_is_complete_and_every_reference_resolves() {
    let app = TestApp::start().await;
    let document = app.document().await;
    let tags: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut names = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} is there twice");
            assert!(operation["summary"].is_string(), "{name} has no summary");
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name} has one tag");
            assert!(tags.contains(&&operation["tags"][0]), "{name} has a tag that is not explained");
            // Without a single `error_code` apistos lists them all.
            assert!(operation["responses"].get("405").is_none(), "{method} {path}: give {name} its error codes");
        }
    }
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    app.stop().await;
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                references.push(reference.clone());
            }
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

#[actix_web::test]
async fn reference_page_loads_nothing_from_other_hosts() {
    let app = TestApp::start().await;
    let page = send(app.request(Method::GET, "/api/scalar")).await;
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
    let script = app.request(Method::GET, "/api/scalar/scalar.js").send().await.unwrap();
    assert_eq!(script.headers()["content-encoding"], "gzip");
    assert!(script.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
    app.stop().await;
}
