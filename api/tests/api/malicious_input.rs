//! Malicious input to every documented operation gets a 4xx, never a 5xx.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{TestApp, send};

const SIGN_UP: &str = "/api/v1/auth/sign-up";

/// Values that most fields must reject.
fn malicious_values() -> Vec<Value> {
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

/// Every body in which one value is replaced.
fn replaced(body: &Value, value: &Value) -> Vec<Value> {
    let mut all = vec![value.clone()];
    match body {
        Value::Object(fields) => {
            for (name, inner) in fields {
                for inner in replaced(inner, value) {
                    let mut copy = fields.clone();
                    copy.insert(name.clone(), inner);
                    all.push(Value::Object(copy));
                }
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                for inner in replaced(inner, value) {
                    let mut copy = items.clone();
                    copy[index] = inner;
                    all.push(Value::Array(copy));
                }
            }
        }
        _ => {}
    }
    all
}

async fn assert_no_server_error(request: RequestBuilder, description: &str) {
    let response = send(request).await;
    // Operations respond with 501 and 503 on purpose if they need something that is not configured.
    let intended = [501, 503].contains(&response.status.as_u16()) && response.text.contains("\"code\"");
    assert!(response.status.as_u16() < 500 || intended, "{description}: {} {}", response.status, response.text);
}

#[actix_web::test]
async fn malformed_bodies_cause_no_server_error() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let document = app.openapi().await;
    let mut sent = 0;
    for operation in document.operations() {
        let Some(example) = operation.example(&document) else { continue };
        for value in malicious_values() {
            for body in replaced(&example, &value) {
                let request = app.request(operation.method.clone(), &operation.path_with_unknown_ids(&workspace));
                let description: String = format!("{} {body}", operation.id).chars().take(300).collect();
                assert_no_server_error(request.bearer_auth(&ada.token).json(&body), &description).await;
                sent += 1;
            }
        }
    }
    assert!(sent > 50, "only {sent} bodies were sent: the document has no examples");
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn malformed_queries_cause_no_server_error() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let long = "x".repeat(10_000);
    for operation in app.openapi().await.operations() {
        let path = operation.path_with_unknown_ids(&workspace);
        for name in operation.parameters("query") {
            for value in ["%00", "%ff%fe", "", "-1", "%25", "%27%3b--", "%e2%80%ae", "1e300", &long] {
                for query in [format!("{name}={value}"), format!("{name}={value}&{name}={value}")] {
                    let description: String = format!("{} {query}", operation.id).chars().take(200).collect();
                    let request =
                        app.request(operation.method.clone(), &format!("{path}?{query}")).bearer_auth(&ada.token);
                    assert_no_server_error(request, &description).await;
                }
            }
        }
    }
    app.stop().await;
}

#[actix_web::test]
async fn deeply_nested_and_oversized_json_is_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
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
    // Unauthenticated callers have a smaller limit.
    let large = json!({ "email": "x".repeat(20_000) }).to_string();
    post(SIGN_UP, large.clone()).await.problem(413, "payload_too_large");
    post(path, large).await.problem(422, "invalid_body");
    app.stop().await;
}

#[actix_web::test]
async fn duplicate_single_value_headers_are_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
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
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
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
