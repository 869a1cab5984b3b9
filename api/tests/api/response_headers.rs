//! What answers say besides what was asked.

use nvisy_shared::store::{Conn, TransactionTrait};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::{
    crash_recovery::second_api,
    support::app::{Answer, TestApp, send},
};

const ORIGIN: &str = "https://app.example.org";

/// An answer of every kind: documented, the framework's own, pages, refusals.
async fn answers(app: &TestApp) -> Vec<Answer> {
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let get = |path: &str| app.request(Method::GET, path);
    let requests: Vec<RequestBuilder> = vec![
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
    let mut answers = Vec::new();
    for request in requests {
        answers.push(send(request).await);
    }
    answers
}

#[actix_web::test]
async fn every_response_has_security_headers_and_hides_the_software() {
    let app = TestApp::start().await;
    for answer in answers(&app).await {
        let what = format!("{} {:?}", answer.status, answer.headers);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{what}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{what}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{what}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{what}");
        assert!(!answer.header("cache-control").is_empty(), "{what}");
        assert!(!answer.header("x-request-id").is_empty(), "{what}");
        assert!(!answer.headers.contains_key("strict-transport-security"), "without TLS it must not be asked for");
        assert!(!answer.headers.contains_key("server") && !answer.headers.contains_key("x-powered-by"), "{what}");
        assert!(!what.contains(env!("CARGO_PKG_VERSION")) && !what.to_lowercase().contains("actix"), "{what}");
        if !answer.status.is_success() {
            let text = answer.text.to_lowercase();
            assert!(!text.contains("actix") && !text.contains("postgres") && !text.contains("rust"), "{text}");
        }
    }
    app.stop().await;
}

/// Whether this version stands in the text, and not another one that has its digits (`10.1.0` has `0.1.0`).
fn names(text: &str, version: &str) -> bool {
    let belongs = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_digit() || letter == '.');
    text.match_indices(version).any(|(place, _)| {
        let (before, after) = (&text[..place], &text[place + version.len()..]);
        !belongs(before.chars().next_back()) && !after.starts_with(|letter: char| letter.is_ascii_digit())
    })
}

#[actix_web::test]
async fn public_pages_do_not_reveal_the_version() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(names(&format!("version {version}."), version) && !names(&format!("1{version}"), version));
    let app = TestApp::start().await;
    assert_eq!(app.document().await["info"]["version"], "1");
    for path in ["/api/openapi.json", "/api/scalar", "/health", "/health/live", "/nothing"] {
        let answer = send(app.request(Method::GET, path)).await;
        assert!(!answer.text.is_empty() && !names(&answer.text, version), "{path} names {version}");
    }
    app.stop().await;
}

#[actix_web::test]
async fn private_responses_are_not_cached() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
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
        let answer = send(app.request(Method::GET, path)).await;
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000; includeSubDomains");
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
        let answer = send(preflight(&app, ORIGIN, method, wanted)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
        assert!(answer.header("access-control-allow-methods").contains(method));
        let allowed = answer.header("access-control-allow-headers").to_lowercase();
        assert!(wanted.split(',').all(|name| allowed.contains(name)), "{allowed}");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    // Answers and refusals alike can be read, with what scripts need of their headers.
    for (path, status) in [("/health", 200), ("/api/v1/account", 401), ("/nothing", 404)] {
        let answer = send(app.request(Method::GET, path).header("origin", ORIGIN)).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
        assert!(answer.header("vary").to_lowercase().contains("origin"), "caches must tell origins apart");
        let exposed = answer.header("access-control-expose-headers").to_lowercase();
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
        let answer = send(preflight(&app, origin, "GET", "authorization")).await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}: {:?}", answer.headers);
        answer.problem(400, "bad_request");
        let answer = send(app.request(Method::GET, "/health").header("origin", origin)).await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}: {:?}", answer.headers);
    }
    let answer = send(preflight(&app, ORIGIN, "GET", "x-forwarded-for")).await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"), "a header that is not on the list");
    app.stop().await;

    let app = TestApp::start().await;
    send(preflight(&app, ORIGIN, "GET", "authorization")).await.problem(405, "method_not_allowed");
    app.stop().await;
}

#[actix_web::test]
async fn request_timeout_is_a_complete_problem_response() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    // Another replica is in a hurry, so that signing up here may take its time.
    let settings = [("NVISY_HTTP_REQUEST_SECONDS", "1"), ("NVISY_HTTP_CORS_ORIGINS", ORIGIN)];
    let (hurried, url) = second_api(&app, &settings).await;
    let held = app.db.begin().await.unwrap();
    held.execute_unprepared("lock table account in access exclusive mode").await.unwrap();
    let account = app.request_to(&url, Method::GET, "/api/v1/account").bearer_auth(&ada.token);
    let answer = send(account.header("origin", ORIGIN)).await;
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(answer.header("x-frame-options"), "DENY");
    answer.problem(504, "timed_out");
    held.rollback().await.unwrap();
    app.get(&ada, "/api/v1/account").await.expect(200);
    drop(hurried);
    app.stop().await;
}
