//! Every error is a complete problem response.

use reqwest::Method;
use serde_json::json;

use crate::support::{TestApp, send};

const SIGN_UP: &str = "/api/v1/auth/sign-up";

#[actix_web::test]
async fn malformed_json_is_distinguished_from_an_invalid_body() {
    let app = TestApp::start().await;
    let post = |body: &'static str| {
        let request = app.request(Method::POST, SIGN_UP).header("content-type", "application/json");
        send(request.body(body))
    };
    for body in ["", "{", "{\"email\":", "nonsense", "\u{0}"] {
        post(body).await.problem(400, "malformed_json");
    }
    for body in ["[]", "{}", "\"text\"", r#"{"email":1,"password":"x","displayName":"x"}"#] {
        post(body).await.problem(422, "invalid_body");
    }
    for (body, field) in [
        (r#"{"email":"a@b.org","password":"x","displayName":"xx","colour":"blue"}"#, "colour"),
        (r#"{"email":"a@b.org","password":"x"}"#, "displayName"),
        (r#"{"email":1,"password":"x","displayName":"xx"}"#, "email"),
    ] {
        let problem = post(body).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], field);
        assert!(problem["detail"].as_str().unwrap().contains(field) || field == "email", "{problem}");
    }
    app.stop().await;
}

#[actix_web::test]
async fn wrong_media_type_and_oversized_body_are_rejected() {
    let app = TestApp::start_with(&[("NVISY_HTTP_JSON_BYTES", "1000")]).await;
    let request = app.request(Method::POST, SIGN_UP);
    send(request.header("content-type", "text/plain").body("{}")).await.problem(415, "unsupported_media_type");
    send(app.request(Method::POST, SIGN_UP)).await.problem(415, "unsupported_media_type");

    let large = json!({ "email": "x".repeat(1000) });
    send(app.request(Method::POST, SIGN_UP).json(&large)).await.problem(413, "payload_too_large");
    // A body without a content length.
    let chunks = (0..20).map(|_| Ok::<_, std::io::Error>(vec![b' '; 100]));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let request = app.request(Method::POST, SIGN_UP).header("content-type", "application/json");
    send(request.body(body)).await.problem(413, "payload_too_large");
    app.stop().await;
}

#[actix_web::test]
async fn framework_errors_are_problem_responses() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    for path in ["/nothing", "//", "/api/v1/nothing", "/api/v2/account", "/api/v1/workspaces/x/y/z"] {
        send(app.request(Method::GET, path)).await.problem(404, "not_found");
    }
    app.get(&ada, "/api/v1/workspaces/not-an-id").await.problem(404, "not_found");
    app.get(&ada, "/api/v1/workspaces/%00").await.problem(404, "not_found");

    for (method, path, allow) in [
        (Method::DELETE, "/api/v1/workspaces", "POST, GET, HEAD"),
        (Method::GET, SIGN_UP, "POST"),
        (Method::POST, "/api/openapi.json", "GET, HEAD"),
        (Method::PUT, "/api/scalar", "GET, HEAD"),
        (Method::POST, "/", "GET, HEAD"),
    ] {
        let response = send(app.request(method, path)).await;
        let mut allowed: Vec<_> = response.header("allow").split(", ").collect();
        allowed.sort_unstable();
        let mut expected: Vec<_> = allow.split(", ").collect();
        expected.sort_unstable();
        assert_eq!(allowed, expected, "{path}");
        response.problem(405, "method_not_allowed");
    }
    app.stop().await;
}

#[actix_web::test]
async fn internal_error_hides_its_cause() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    app.sql("alter table member rename to broken").await;
    let problem = app.get(&ada, "/api/v1/workspaces").await.problem(500, "internal");
    let keys: Vec<_> = problem.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["code", "requestId", "status", "title", "type"]);
    app.stop().await;
}

#[actix_web::test]
async fn request_id_from_a_trusted_proxy_is_kept() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let request_with_id = |id: &'static str| send(app.request(Method::GET, "/nothing").header("x-request-id", id));
    let response = request_with_id("trace-7.a").await;
    assert_eq!(response.problem(404, "not_found")["requestId"], "trace-7.a");
    let response = request_with_id("no spaces").await;
    assert_ne!(response.header("x-request-id"), "no spaces");
    let id: uuid::Uuid = response.header("x-request-id").parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    app.stop().await;
}

#[actix_web::test]
async fn request_id_from_an_untrusted_client_is_replaced() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "192.0.2.0/24")]).await;
    let client_id = "0193a1b2-0000-7000-8000-000000000000";
    let response = send(app.request(Method::GET, "/nothing").header("x-request-id", client_id)).await;
    assert_ne!(response.header("x-request-id"), client_id);
    let problem = response.problem(404, "not_found");
    assert_eq!(problem["requestId"].as_str().unwrap().parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    app.stop().await;
}
