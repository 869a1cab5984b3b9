//! Responses that have been read to their end.

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::{
    declared::assert_declared,
    secrets::{SECRET_MARKER, unmarked},
};

#[derive(Debug)]
pub struct TestResponse {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl TestResponse {
    /// The JSON body; fails unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).expect("a JSON body")
    }

    /// The body; fails unless it is a complete problem with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        let request_id = self.header("x-request-id").to_owned();
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status, "{body}");
        assert_eq!(body["type"], format!("urn:nvisy:problem:{code}"), "{body}");
        assert_eq!(body["requestId"], request_id, "{body}");
        assert!(body["title"].is_string(), "{body}");
        body
    }

    /// As [`TestResponse::problem`], without the request id, which differs between equal problems.
    #[track_caller]
    pub fn anonymous_problem(self, status: u16, code: &str) -> Value {
        let mut problem = self.problem(status, code);
        problem["requestId"].take();
        problem
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Sends the request, and fails unless the OpenAPI document declares the response.
pub async fn send(request: RequestBuilder) -> TestResponse {
    let (client, request) = request.build_split();
    let request = request.expect("a valid request");
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    let unmarked = unmarked(&request);
    let response: Response = client.execute(request).await.expect("a response");
    let (status, headers) = (response.status(), response.headers().clone());
    let response = TestResponse { status, headers, text: response.text().await.expect("a complete body") };
    assert_declared(&method, &path, &response);
    if let Some(secret) = unmarked.filter(|_| response.status.is_success()) {
        panic!("logs are not searched for `{secret}`, because it does not contain `{SECRET_MARKER}`");
    }
    response
}
