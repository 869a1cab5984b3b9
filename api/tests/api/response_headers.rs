//! Security headers, caching and CORS, and what responses do not reveal.

use nvisy_shared::store::{Conn, TransactionTrait};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::{TestApp, TestResponse, send, start_second_api};

const ORIGIN: &str = "https://app.example.org";

/// Responses of every kind: of operations, of the framework, pages, errors.
async fn all_kinds_of_responses(app: &TestApp) -> Vec<TestResponse> {
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let get = |path: &str| app.request(Method::GET, path);
    let requests: Vec<RequestBuilder> = vec![
        get("/"),
        get("/health"),
        get("/api/openapi.json"),
        get("/api/scalar"),
        get("/api/scalar/scalar.js"),
        get("/nothing"),
        get("/api/v1/account"),
        get("/api/v1/account").bearer_auth(&ada.token),
        get(&format!("/api/v1/workspaces/{workspace}")).bearer_auth(&ada.token),
        get("/api/v1/workspaces?limit=0").bearer_auth(&ada.token),
        app.request(Method::PUT, "/api/scalar"),
        app.request(Method::OPTIONS, "/api/v1/account"),
        app.request(Method::POST, "/api/v1/auth/login").body("x"),
        app.request(Method::POST, "/api/v1/auth/login").json(&json!({})),
    ];
    let mut responses = Vec::new();
    for request in requests {
        responses.push(send(request).await);
    }
    responses
}

#[actix_web::test]
async fn every_response_has_security_headers_and_hides_the_software() {
    let app = TestApp::start().await;
    for response in all_kinds_of_responses(&app).await {
        let description = format!("{} {:?}", response.status, response.headers);
        assert_eq!(response.header("x-content-type-options"), "nosniff", "{description}");
        assert_eq!(response.header("x-frame-options"), "DENY", "{description}");
        assert_eq!(response.header("referrer-policy"), "no-referrer", "{description}");
        assert!(response.header("content-security-policy").contains("default-src 'none'"), "{description}");
        assert!(response.header("content-security-policy").contains("frame-ancestors 'none'"), "{description}");
        assert!(!response.header("cache-control").is_empty(), "{description}");
        assert!(!response.header("x-request-id").is_empty(), "{description}");
        assert!(!response.headers.contains_key("strict-transport-security"), "HSTS is sent without TLS");
        assert!(
            !response.headers.contains_key("server") && !response.headers.contains_key("x-powered-by"),
            "{description}"
        );
        assert!(
            !description.contains(env!("CARGO_PKG_VERSION")) && !description.to_lowercase().contains("actix"),
            "{description}"
        );
        if !response.status.is_success() {
            let text = response.text.to_lowercase();
            assert!(!text.contains("actix") && !text.contains("postgres") && !text.contains("rust"), "{text}");
        }
    }
    app.stop().await;
}

/// Whether the text contains this version, and not another one with its digits (`10.1.0` contains `0.1.0`).
fn contains_version(text: &str, version: &str) -> bool {
    let continues =
        |character: Option<char>| character.is_some_and(|character| character.is_ascii_digit() || character == '.');
    text.match_indices(version).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + version.len()..]);
        !continues(before.chars().next_back()) && !after.starts_with(|character: char| character.is_ascii_digit())
    })
}

#[actix_web::test]
async fn public_pages_do_not_reveal_the_version() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        contains_version(&format!("version {version}."), version) && !contains_version(&format!("1{version}"), version)
    );
    let app = TestApp::start().await;
    assert_eq!(app.openapi().await.json()["info"]["version"], "1");
    for path in ["/", "/api/openapi.json", "/api/scalar", "/health", "/health/live", "/nothing"] {
        let response = send(app.request(Method::GET, path)).await;
        assert!(!response.text.is_empty() && !contains_version(&response.text, version), "{path} contains {version}");
    }
    app.stop().await;
}

#[actix_web::test]
async fn private_responses_are_not_cached() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let account = app.get(&ada, "/api/v1/account").await;
    assert_eq!(account.header("cache-control"), "private, no-cache");
    let sessions = app.get(&ada, "/api/v1/account/sessions").await;
    assert_eq!(sessions.header("cache-control"), "no-store");
    app.stop().await;
}

#[actix_web::test]
async fn hsts_header_follows_the_setting() {
    let app = TestApp::start_with(&[("NVISY_HTTP_HSTS_SECONDS", "31536000")]).await;
    for path in ["/health", "/nothing"] {
        let response = send(app.request(Method::GET, path)).await;
        assert_eq!(response.header("strict-transport-security"), "max-age=31536000; includeSubDomains");
    }
    app.stop().await;
}

fn preflight(app: &TestApp, origin: &str, method: &str, headers: &str) -> RequestBuilder {
    app.request(Method::OPTIONS, "/api/v1/workspaces")
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", headers)
}

#[actix_web::test]
async fn cors_allows_configured_origins() {
    let app =
        TestApp::start_with(&[("NVISY_HTTP_CORS_ORIGINS", "https://app.example.org,http://localhost:3000")]).await;
    let wanted = "authorization,content-type,idempotency-key,if-match,traceparent,tracestate,last-event-id";
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let response = send(preflight(&app, ORIGIN, method, wanted)).await;
        assert_eq!(response.status, 200, "{}", response.text);
        assert_eq!(response.header("access-control-allow-origin"), ORIGIN);
        assert!(response.header("access-control-allow-methods").contains(method));
        let allowed = response.header("access-control-allow-headers").to_lowercase();
        assert!(wanted.split(',').all(|name| allowed.contains(name)), "{allowed}");
        assert_eq!(response.header("access-control-allow-credentials"), "");
        assert_eq!(response.header("x-content-type-options"), "nosniff");
    }
    // Scripts can read responses and errors, and the headers that they need.
    for (path, status) in [("/health", 200), ("/api/v1/account", 401), ("/nothing", 404)] {
        let response = send(app.request(Method::GET, path).header("origin", ORIGIN)).await;
        assert_eq!(response.status, status);
        assert_eq!(response.header("access-control-allow-origin"), ORIGIN);
        assert!(response.header("vary").to_lowercase().contains("origin"), "caches must distinguish origins");
        let exposed = response.header("access-control-expose-headers").to_lowercase();
        for name in ["etag", "location", "retry-after", "ratelimit-limit", "ratelimit-remaining", "x-request-id"] {
            assert!(exposed.contains(name), "{name} is not in {exposed}");
        }
    }
    app.stop().await;
}

#[actix_web::test]
async fn cors_rejects_other_origins() {
    let app = TestApp::start_with(&[("NVISY_HTTP_CORS_ORIGINS", ORIGIN)]).await;
    for origin in [
        "https://evil.example.org",
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://app.example.org.evil.com",
        "https://xapp.example.org",
        "https://APP.example.org",
        "null",
        "\u{e4}",
    ] {
        let response = send(preflight(&app, origin, "GET", "authorization")).await;
        assert!(!response.headers.contains_key("access-control-allow-origin"), "{origin}: {:?}", response.headers);
        response.problem(400, "bad_request");
        let response = send(app.request(Method::GET, "/health").header("origin", origin)).await;
        assert!(!response.headers.contains_key("access-control-allow-origin"), "{origin}: {:?}", response.headers);
    }
    let response = send(preflight(&app, ORIGIN, "GET", "x-forwarded-for")).await;
    assert!(!response.headers.contains_key("access-control-allow-origin"), "a header that is not on the list");
    app.stop().await;

    let app = TestApp::start().await;
    send(preflight(&app, ORIGIN, "GET", "authorization")).await.problem(405, "method_not_allowed");
    app.stop().await;
}

#[actix_web::test]
async fn request_timeout_is_a_complete_problem_response() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    // Another replica has a short timeout, so that the sign-up here is not affected.
    let settings = [("NVISY_HTTP_REQUEST_SECONDS", "1"), ("NVISY_HTTP_CORS_ORIGINS", ORIGIN)];
    let (other, url) = start_second_api(&app, &settings).await;
    let lock_holder = app.db.begin().await.unwrap();
    lock_holder.execute_unprepared("lock table account in access exclusive mode").await.unwrap();
    let account = app.request_to(&url, Method::GET, "/api/v1/account").bearer_auth(&ada.token);
    let response = send(account.header("origin", ORIGIN)).await;
    assert_eq!(response.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(response.header("x-frame-options"), "DENY");
    response.problem(504, "timed_out");
    lock_holder.rollback().await.unwrap();
    app.get(&ada, "/api/v1/account").await.expect(200);
    drop(other);
    app.stop().await;
}
