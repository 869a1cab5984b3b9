//! Input that wants to do harm, at every operation of the document: a 4xx, never a 5xx.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    access::{Operation, operations},
    support::app::{TestApp, send},
};

const SIGN_UP: &str = "/api/v1/auth/sign-up";

/// Values that no field takes, or only by being made for them.
fn hostile() -> Vec<Value> {
    vec![
        json!("a\u{0}b"),
        json!("x".repeat(10_000)),
        json!("\u{202e}\u{200b}\u{feff}"),
        json!(-1),
        json!(1e300),
        json!(true),
        json!(null),
        json!([]),
        json!([[]]),
        json!({ "a": { "b": [] } }),
    ]
}

/// Every way to put one hostile value into a body.
fn spoilt(body: &Value, with: &Value) -> Vec<Value> {
    let mut all = vec![with.clone()];
    match body {
        Value::Object(fields) => {
            for (name, inner) in fields {
                for worse in spoilt(inner, with) {
                    let mut copy = fields.clone();
                    copy.insert(name.clone(), worse);
                    all.push(Value::Object(copy));
                }
            }
        }
        Value::Array(items) => {
            for (place, inner) in items.iter().enumerate() {
                for worse in spoilt(inner, with) {
                    let mut copy = items.clone();
                    copy[place] = worse;
                    all.push(Value::Array(copy));
                }
            }
        }
        _ => {}
    }
    all
}

async fn refused(request: RequestBuilder, what: &str) {
    let answer = send(request).await;
    // 501 and 503 are said on purpose, by operations that need what is not configured.
    let meant = [501, 503].contains(&answer.status.as_u16()) && answer.text.contains("\"code\"");
    assert!(answer.status.as_u16() < 500 || meant, "{what}: {} {}", answer.status, answer.text);
}

#[actix_web::test]
async fn malformed_bodies_cause_no_server_error() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let document = app.document().await;
    let mut tried = 0;
    for operation in operations(&document) {
        let Some(example) = operation.example(&document) else { continue };
        for value in hostile() {
            for body in spoilt(&example, &value) {
                let request = app.request(operation.method.clone(), &operation.path(&workspace));
                let shown: String = format!("{} {body}", operation.id).chars().take(300).collect();
                refused(request.bearer_auth(&ada.token).json(&body), &shown).await;
                tried += 1;
            }
        }
    }
    assert!(tried > 50, "only {tried} bodies were tried: the document has no examples");
    app.stop_with_jobs().await;
}

#[actix_web::test]
async fn malformed_queries_cause_no_server_error() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let long = "x".repeat(10_000);
    for Operation { id, method, path, query, .. } in
        operations(&app.document().await).iter().map(|one| one.at(&workspace))
    {
        for name in query {
            for value in ["%00", "%ff%fe", "", "-1", "%25", "%27%3b--", "%e2%80%ae", "1e300", &long] {
                for query in [format!("{name}={value}"), format!("{name}={value}&{name}={value}")] {
                    let shown: String = format!("{id} {query}").chars().take(200).collect();
                    let request = app.request(method.clone(), &format!("{path}?{query}")).bearer_auth(&ada.token);
                    refused(request, &shown).await;
                }
            }
        }
    }
    app.stop().await;
}

#[actix_web::test]
async fn deeply_nested_and_oversized_json_is_rejected() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let post = |path: &str, body: String| {
        let request = app.request(Method::POST, path).bearer_auth(&ada.token);
        send(request.header("content-type", "application/json").body(body))
    };
    let path = "/api/v1/workspaces";
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let body = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        post(path, body).await.problem(422, "invalid_body");
    }
    let keys: Vec<_> = (0..100_002).map(|n| format!("\"{n:x}\":0")).collect();
    post(path, format!("{{{}}}", keys.join(","))).await.problem(422, "invalid_body");
    let same = r#"{"name":"a","name":"b"}"#.to_owned();
    let problem = post(path, same).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "name");
    // Strangers have less room than members.
    let large = json!({ "email": "x".repeat(20_000) }).to_string();
    post(SIGN_UP, large.clone()).await.problem(413, "payload_too_large");
    post(path, large).await.problem(422, "invalid_body");
    app.stop().await;
}

#[actix_web::test]
async fn duplicate_single_value_headers_are_rejected() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let twice = app.request(Method::GET, "/api/v1/account").bearer_auth(&ada.token).bearer_auth(&bob.token);
    send(twice).await.problem(401, "unauthenticated");
    let create = app.request(Method::POST, "/api/v1/workspaces").bearer_auth(&ada.token);
    let create = create.header("idempotency-key", "a").header("idempotency-key", "b").json(&json!({ "name": "X" }));
    send(create).await.problem(400, "invalid_header");
    let events = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/events")).bearer_auth(&ada.token);
    send(events.header("last-event-id", "1").header("last-event-id", "2")).await.problem(400, "invalid_header");
    app.stop().await;
}

#[actix_web::test]
async fn authorization_precedes_header_and_path_validation() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let below = |path: &str| format!("/api/v1/workspaces/{workspace}/{path}");
    let upload = || app.request(Method::POST, &below("files")).header("idempotency-key", "not one");
    let events = || app.request(Method::GET, &below("events")).header("last-event-id", "x");
    let file = || app.request(Method::GET, &below("files/not-an-id"));
    for request in [upload(), events(), file()] {
        send(request).await.problem(401, "unauthenticated");
    }
    for request in [upload(), events(), file()] {
        send(request.bearer_auth(&bob.token)).await.problem(404, "not_found");
    }
    for (request, status, code) in
        [(upload(), 400, "invalid_header"), (events(), 400, "invalid_header"), (file(), 404, "not_found")]
    {
        send(request.bearer_auth(&ada.token)).await.problem(status, code);
    }
    app.stop().await;
}
