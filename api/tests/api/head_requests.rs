//! `HEAD` wherever `GET` is.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder, StatusCode};

use crate::support::{TestApp, WorkspaceFixture, part};

/// Headers that differ between two equal requests.
const VOLATILE: [&str; 5] = ["date", "x-request-id", "ratelimit-remaining", "ratelimit-reset", "connection"];

/// Status, headers and length of the body.
async fn outcome(request: RequestBuilder) -> (StatusCode, BTreeMap<String, String>, usize) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let header = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    let headers = response.headers().iter().map(header).filter(|(name, _)| !VOLATILE.contains(&name.as_str()));
    let headers = headers.collect();
    (status, headers, response.bytes().await.unwrap().len())
}

/// Compares `HEAD` with `GET`, and returns the status and the headers.
async fn assert_head_matches_get(
    description: &str,
    request: impl Fn(Method) -> RequestBuilder,
) -> (StatusCode, BTreeMap<String, String>) {
    let (status, headers, length) = outcome(request(Method::GET)).await;
    let head = outcome(request(Method::HEAD)).await;
    assert_eq!(head, (status, headers.clone(), 0), "{description}");
    if let Some(declared) = headers.get("content-length") {
        assert_eq!(*declared, length.to_string(), "{description}");
    }
    (status, headers)
}

#[actix_web::test]
async fn head_of_every_path_has_the_headers_of_get_and_no_body() {
    let app = TestApp::start_with_worker(&[("NVISY_LIMIT_ACCOUNT_STREAMS", "100")]).await;
    let (ada, bob) = (app.create_account("ada").await, app.create_account("bob").await);
    let fixture = WorkspaceFixture::new(&app, &ada, &bob).await;
    // The item of the fixture's own file may never end.
    let accepted = app.upload(&ada, &fixture.workspace, vec![part("b.txt", "ebb")]).await.expect(202);
    let file = accepted["items"][0]["id"].as_str().unwrap();
    app.finished_file(&ada, &fixture.workspace, file).await;
    let mut statuses = BTreeMap::new();
    for operation in app.openapi().await.operations().into_iter().filter(|one| one.method == Method::GET) {
        // A stream ends with the client's connection.
        if operation.id == "streamEvents" {
            continue;
        }
        let path = operation.path_with(|parameter| match parameter {
            "{file}" => file.to_owned(),
            parameter => operation.id_in(&fixture, parameter).unwrap_or("missing").to_owned(),
        });
        let request = |method| app.request(method, &path).bearer_auth(&ada.token);
        let (status, _) = assert_head_matches_get(&operation.id, request).await;
        statuses.insert(operation.id, status.as_u16());
    }
    assert_eq!(statuses.remove("readAvatar"), Some(404), "there is no picture");
    assert!(statuses.values().all(|status| *status == 200), "{statuses:?}");
    for path in ["/api/openapi.json", "/api/scalar", "/api/scalar/scalar.js", "/nothing", "/api/v1/auth/login"] {
        assert_head_matches_get(path, |method| app.request(method, path)).await;
    }
    app.stop().await;
}

#[actix_web::test]
async fn head_of_content_and_text_has_the_tag() {
    let mut app = TestApp::start_with(&[("NVISY_EMBEDDING_PROVIDER", "local")]).await;
    app.start_worker().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "The tide turns at noon.")]).await.expect(202);
    let file = accepted["items"][0]["id"].as_str().unwrap().to_owned();
    app.finished_file(&ada, &workspace, &file).await;
    for (suffix, length) in [("content", Some("23")), ("text", None)] {
        let path = format!("/api/v1/workspaces/{workspace}/files/{file}/{suffix}");
        let head = app.request(Method::HEAD, &path).bearer_auth(&ada.token).send().await.unwrap();
        let header = |name: &str| head.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let tag = header("etag").expect("a tag");
        assert_eq!(header("content-length").as_deref(), length, "{suffix}");
        for method in [Method::GET, Method::HEAD] {
            let request = app.request(method, &path).bearer_auth(&ada.token).header("if-none-match", &tag);
            assert_eq!(request.send().await.unwrap().status(), 304, "{suffix}");
        }
    }
    app.stop().await;
}

#[actix_web::test]
async fn head_leaves_the_connection_usable() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let (workspace, file) = app.create_workspace_with_file(&ada).await;
    let path = format!("/api/v1/workspaces/{workspace}/files/{file}/content");
    let client = TestApp::new_client();
    for _ in 0..20 {
        for method in [Method::HEAD, Method::GET] {
            let request = client.request(method, format!("http://{}{path}", app.address)).bearer_auth(&ada.token);
            assert_eq!(request.send().await.unwrap().status(), 200);
        }
    }
    app.stop_and_drop_jobs().await;
}
