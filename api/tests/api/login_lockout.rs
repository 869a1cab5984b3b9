//! Limits of failed logins and unknown tokens: they do not lock accounts out of other networks.

use futures::future::join_all;
use nvisy_shared::crypt::token::{self, TokenKind};
use reqwest::Method;
use serde_json::json;

use crate::support::{PASSWORD, TestAccount, TestApp, TestResponse, send};

const ACCOUNT: &str = "/api/v1/account";
const WRONG: &str = "not the password";
/// The tests are a trusted proxy, so that they can set the client address.
const TRUSTED_PROXY: (&str, &str) = ("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1");

impl TestApp {
    async fn login_from(&self, address: &str, name: &str, password: &str) -> TestResponse {
        let request = self.request(Method::POST, "/api/v1/auth/login").header("x-forwarded-for", address);
        send(request.json(&json!({ "email": format!("{name}@example.org"), "password": password }))).await
    }

    async fn account_from(&self, address: &str, token: &str) -> TestResponse {
        let request = self.request(Method::GET, ACCOUNT).header("x-forwarded-for", address);
        send(request.bearer_auth(token)).await
    }

    async fn request_password_reset_from(&self, address: &str, name: &str) -> TestResponse {
        let request = self.request(Method::POST, "/api/v1/auth/password-reset").header("x-forwarded-for", address);
        send(request.json(&json!({ "email": format!("{name}@example.org") }))).await
    }
}

fn address(number: usize) -> String {
    format!("203.0.113.{number}")
}

#[actix_web::test]
async fn attempts_from_one_network_do_not_block_another() {
    let app = TestApp::start_with(&[TRUSTED_PROXY, ("NVISY_LIMIT_NAME_MINUTE", "4")]).await;
    app.create_account("ada").await;
    for name in ["ada", "nobody"] {
        let mut wrong = 0;
        loop {
            match app.login_from("192.0.2.1", name, WRONG).await {
                response if response.status == 429 => break drop(response.problem(429, "too_many_requests")),
                response => drop(response.problem(401, "wrong_credentials")),
            }
            wrong += 1;
        }
        assert!(wrong >= 4, "{wrong}");
        app.login_from("192.0.2.1", name, PASSWORD).await.problem(429, "too_many_requests");
        app.login_from("192.0.2.2", name, WRONG).await.problem(401, "wrong_credentials");
    }
    app.login_from("192.0.2.2", "ada", PASSWORD).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn networks_with_a_session_are_exempt_from_the_failure_limit() {
    let settings = [TRUSTED_PROXY, ("NVISY_LIMIT_NAME_MINUTE", "20"), ("NVISY_LIMIT_NAME_FAILURES_MINUTE", "4")];
    let app = TestApp::start_with(&settings).await;
    app.create_account("ada").await;
    app.create_account("bob").await;
    let session_addresses = [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9")];
    for (address, _) in session_addresses {
        app.login_from(address, "ada", PASSWORD).await.expect(200);
    }
    // Known and unknown names behave alike.
    for name in ["bob", "nobody"] {
        let mut attempts = 0;
        while app.login_from(&address(attempts), name, WRONG).await.status == 401 {
            attempts += 1;
        }
        assert!(attempts >= 4, "{attempts}");
        for other in [address(200), "192.0.2.2".to_owned(), "2001:db8:1:3::1".to_owned()] {
            app.login_from(&other, name, PASSWORD).await.problem(429, "too_many_requests");
        }
        for (_, address) in session_addresses {
            app.login_from(address, name, WRONG).await.problem(401, "wrong_credentials");
        }
    }
    app.login_from(session_addresses[0].1, "bob", PASSWORD).await.expect(200);
    // Other names are not limited.
    app.login_from(&address(201), "ada", PASSWORD).await.expect(200);
    // Ended and expired sessions exempt no network.
    app.sql("delete from session where address = '192.0.2.1'").await;
    app.sql("update session set expires_at = now() where address like '2001:%'").await;
    for (_, address) in session_addresses {
        app.login_from(address, "nobody", WRONG).await.problem(429, "too_many_requests");
    }
    app.stop().await;
}

#[actix_web::test]
async fn successful_logins_do_not_count_as_failures() {
    let app = TestApp::start_with(&[TRUSTED_PROXY, ("NVISY_LIMIT_NAME_FAILURES_MINUTE", "2")]).await;
    let ada = app.create_account("ada").await;
    for number in 0..8 {
        app.login_from(&address(number), "ada", PASSWORD).await.expect(200);
    }
    // Password confirmations do not count as failures either.
    for _ in 0..4 {
        app.api_token(&ada, &json!({ "permissions": ["search"] })).await;
    }
    for number in 20..22 {
        app.login_from(&address(number), "ada", WRONG).await.problem(401, "wrong_credentials");
    }
    app.login_from(&address(22), "ada", WRONG).await.problem(429, "too_many_requests");
    app.stop().await;
}

#[actix_web::test]
async fn concurrent_failures_are_all_counted() {
    let app = TestApp::start_with(&[TRUSTED_PROXY, ("NVISY_LIMIT_NAME_FAILURES_MINUTE", "4")]).await;
    let addresses: Vec<_> = (0..30).map(address).collect();
    let responses = join_all(addresses.iter().map(|address| app.login_from(address, "nobody", WRONG))).await;
    let checked = responses.iter().filter(|response| response.status == 401).count();
    assert!((4..=5).contains(&checked), "{checked} passwords were checked");
    assert_eq!(responses.iter().filter(|response| response.status == 429).count(), 30 - checked);
    app.stop().await;
}

#[actix_web::test]
async fn login_attempts_do_not_block_a_password_reset() {
    let settings = [
        TRUSTED_PROXY,
        ("NVISY_LIMIT_NAME_MINUTE", "3"),
        ("NVISY_LIMIT_NAME_FAILURES_MINUTE", "6"),
        ("NVISY_SMTP_URL", "smtp://127.0.0.1:9"),
        ("NVISY_SMTP_FROM", "nvisy@example.org"),
        ("NVISY_SMTP_LINK_URL", "https://app.example.org"),
    ];
    let app = TestApp::start_with(&settings).await;
    while app.login_from("192.0.2.1", "ada", WRONG).await.status != 429 {}
    for number in 0..8 {
        app.login_from(&address(number), "ada", WRONG).await;
    }
    for _ in 0..3 {
        app.request_password_reset_from("192.0.2.1", "ada").await.expect(202);
    }
    app.request_password_reset_from("192.0.2.1", "ADA").await.problem(429, "too_many_requests");
    app.request_password_reset_from("192.0.2.2", "ada").await.expect(202);
    app.request_password_reset_from("192.0.2.1", "bob").await.expect(202);
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn failures_are_counted_locally_when_counting_fails() {
    let settings = [TRUSTED_PROXY, ("NVISY_LIMIT_NAME_MINUTE", "3"), ("NVISY_LIMIT_NAME_FAILURES_MINUTE", "5")];
    let app = TestApp::start_with(&settings).await;
    let ada = app.create_account("ada").await;
    app.sql("alter table rate_limit_bucket rename to broken").await;
    for number in 0..7 {
        app.login_from(&address(number), "ada", PASSWORD).await.expect(200);
    }
    let mut checked = 0;
    for number in 20..30 {
        checked += usize::from(app.login_from(&address(number), "ada", WRONG).await.status == 401);
    }
    assert_eq!(checked, 5);
    app.get(&ada, ACCOUNT).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn repeated_unknown_tokens_are_rejected_without_a_query() {
    let app = TestApp::start_with(&[TRUSTED_PROXY, ("NVISY_LIMIT_REFUSED_MINUTE", "5")]).await;
    let ada = app.create_account("ada").await;
    let (known, id) = app.api_token(&ada, &json!({ "permissions": ["search"] })).await;
    let (unused, _) = app.api_token(&ada, &json!({ "permissions": ["search"] })).await;
    let bob = app.create_account("bob").await;
    let limited = "192.0.2.1";
    app.account_from(limited, &known.token).await.expect(200);
    app.account_from(limited, &ada.token).await.expect(200);

    // Sends unknown tokens until the limit is used up; returns their number and the last response.
    let exhaust = async || {
        let mut rejected = 0;
        loop {
            let unknown = token::generate(TokenKind::Api);
            match app.account_from(limited, unknown.expose()).await {
                response if response.status == 429 => break (rejected, response),
                response => drop(response.problem(401, "unauthenticated")),
            }
            rejected += 1;
        }
    };
    let (rejected, response) = exhaust().await;
    assert!(rejected >= 5, "{rejected}");
    assert!(response.headers.contains_key("retry-after"));
    response.problem(429, "too_many_requests");
    // The limit also holds for operations of workspaces, and for a valid token that was not used before.
    let request = app.request(Method::GET, &format!("/api/v1/workspaces/{}", uuid::Uuid::nil()));
    let unknown = token::generate(TokenKind::Api);
    let request = request.header("x-forwarded-for", limited).bearer_auth(unknown.expose());
    send(request).await.problem(429, "too_many_requests");
    exhaust().await;
    app.account_from(limited, &unused.token).await.problem(429, "too_many_requests");
    exhaust().await;
    // The limit holds for concurrent requests; meanwhile it may have been refilled by one.
    let unknown: Vec<_> = (0..40).map(|_| token::generate(TokenKind::Api)).collect();
    let responses = join_all(unknown.iter().map(|unknown| app.account_from(limited, unknown.expose()))).await;
    let queried = responses.iter().filter(|response| response.status == 401).count();
    assert!(queried <= 1, "{queried} tokens were queried");
    // A malformed token is rejected without using the limit.
    app.account_from(limited, "nvisy_nonsense").await.problem(401, "unauthenticated");
    // Tokens used before are still accepted, and other addresses are not limited.
    for TestAccount { token, .. } in [&known, &ada] {
        app.account_from(limited, token).await.expect(200);
    }
    app.account_from("192.0.2.2", &unused.token).await.expect(200);
    app.account_from("192.0.2.2", &bob.token).await.expect(200);
    app.account_from("192.0.2.2", token::generate(TokenKind::Api).expose()).await.problem(401, "unauthenticated");
    // Known tokens are checked at each request: a revoked one is rejected at once, and unknown afterwards.
    assert_eq!(app.delete(&ada, &format!("/api/v1/account/tokens/{id}")).await.status, 204);
    app.account_from(limited, &known.token).await.problem(401, "unauthenticated");
    exhaust().await;
    app.account_from(limited, &known.token).await.problem(429, "too_many_requests");
    app.stop().await;
}

#[actix_web::test]
async fn valid_tokens_do_not_consume_the_invalid_token_limit() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_REFUSED_MINUTE", "2")]).await;
    let ada = app.create_account("ada").await;
    for _ in 0..8 {
        let (token, _) = app.api_token(&ada, &json!({ "permissions": ["search"] })).await;
        app.get(&token, ACCOUNT).await.expect(200);
    }
    app.stop().await;
}
