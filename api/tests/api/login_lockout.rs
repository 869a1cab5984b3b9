//! What strangers do elsewhere keeps nobody out.

use futures::future::join_all;
use nvisy_shared::crypt::token::{self, TokenKind};
use reqwest::Method;
use serde_json::json;

use crate::support::app::{Answer, PASSWORD, Person, TestApp, send};

const ACCOUNT: &str = "/api/v1/account";
const WRONG: &str = "not the password";
/// The tests are the proxy that speaks for networks.
const PROXY: (&str, &str) = ("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1");

impl TestApp {
    async fn login_from(&self, network: &str, name: &str, password: &str) -> Answer {
        let request = self.request(Method::POST, "/api/v1/auth/login").header("x-forwarded-for", network);
        send(request.json(&json!({ "email": format!("{name}@example.org"), "password": password }))).await
    }

    async fn account_from(&self, network: &str, token: &str) -> Answer {
        let request = self.request(Method::GET, ACCOUNT).header("x-forwarded-for", network);
        send(request.bearer_auth(token)).await
    }

    async fn forgot_from(&self, network: &str, name: &str) -> Answer {
        let request = self.request(Method::POST, "/api/v1/auth/password-reset").header("x-forwarded-for", network);
        send(request.json(&json!({ "email": format!("{name}@example.org") }))).await
    }
}

fn network(number: usize) -> String {
    format!("203.0.113.{number}")
}

#[actix_web::test]
async fn attempts_from_one_network_do_not_block_another() {
    let app = TestApp::start_with(&[PROXY, ("NVISY_LIMIT_NAME_MINUTE", "4")]).await;
    app.person("ada").await;
    for name in ["ada", "nobody"] {
        let mut wrong = 0;
        loop {
            match app.login_from("192.0.2.1", name, WRONG).await {
                answer if answer.status == 429 => break drop(answer.problem(429, "too_many_requests")),
                answer => drop(answer.problem(401, "wrong_credentials")),
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
    let settings = [PROXY, ("NVISY_LIMIT_NAME_MINUTE", "20"), ("NVISY_LIMIT_NAME_FAILURES_MINUTE", "4")];
    let app = TestApp::start_with(&settings).await;
    app.person("ada").await;
    app.person("bob").await;
    let homes = [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9")];
    for (home, _) in homes {
        app.login_from(home, "ada", PASSWORD).await.expect(200);
    }
    // Nobody's name is told from somebody's.
    for name in ["bob", "nobody"] {
        let mut tries = 0;
        while app.login_from(&network(tries), name, WRONG).await.status == 401 {
            tries += 1;
        }
        assert!(tries >= 4, "{tries}");
        for stranger in [network(200), "192.0.2.2".to_owned(), "2001:db8:1:3::1".to_owned()] {
            app.login_from(&stranger, name, PASSWORD).await.problem(429, "too_many_requests");
        }
        for (_, home) in homes {
            app.login_from(home, name, WRONG).await.problem(401, "wrong_credentials");
        }
    }
    app.login_from(homes[0].1, "bob", PASSWORD).await.expect(200);
    // Others are not held up.
    app.login_from(&network(201), "ada", PASSWORD).await.expect(200);
    // Whoever has left is at home there no more, and neither is who may do nothing.
    app.sql("delete from session where address = '192.0.2.1'").await;
    app.sql("update session set expires_at = now() where address like '2001:%'").await;
    for (_, home) in homes {
        app.login_from(home, "nobody", WRONG).await.problem(429, "too_many_requests");
    }
    app.stop().await;
}

#[actix_web::test]
async fn successful_logins_do_not_count_as_failures() {
    let app = TestApp::start_with(&[PROXY, ("NVISY_LIMIT_NAME_FAILURES_MINUTE", "2")]).await;
    let ada = app.person("ada").await;
    for number in 0..8 {
        app.login_from(&network(number), "ada", PASSWORD).await.expect(200);
    }
    // Where somebody is asked again, too.
    for _ in 0..4 {
        app.program(&ada, &["search"]).await;
    }
    for number in 20..22 {
        app.login_from(&network(number), "ada", WRONG).await.problem(401, "wrong_credentials");
    }
    app.login_from(&network(22), "ada", WRONG).await.problem(429, "too_many_requests");
    app.stop().await;
}

#[actix_web::test]
async fn concurrent_failures_are_all_counted() {
    let app = TestApp::start_with(&[PROXY, ("NVISY_LIMIT_NAME_FAILURES_MINUTE", "4")]).await;
    let networks: Vec<_> = (0..30).map(network).collect();
    let answers = join_all(networks.iter().map(|network| app.login_from(network, "nobody", WRONG))).await;
    let made = answers.iter().filter(|answer| answer.status == 401).count();
    assert!((4..=5).contains(&made), "{made} were made");
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 30 - made);
    app.stop().await;
}

#[actix_web::test]
async fn login_attempts_do_not_block_a_password_reset() {
    let settings = [
        PROXY,
        ("NVISY_LIMIT_NAME_MINUTE", "3"),
        ("NVISY_LIMIT_NAME_FAILURES_MINUTE", "6"),
        ("NVISY_SMTP_URL", "smtp://127.0.0.1:9"),
        ("NVISY_SMTP_FROM", "nvisy@example.org"),
        ("NVISY_SMTP_LINK_URL", "https://app.example.org"),
    ];
    let app = TestApp::start_with(&settings).await;
    while app.login_from("192.0.2.1", "ada", WRONG).await.status != 429 {}
    for number in 0..8 {
        app.login_from(&network(number), "ada", WRONG).await;
    }
    for _ in 0..3 {
        app.forgot_from("192.0.2.1", "ada").await.expect(202);
    }
    app.forgot_from("192.0.2.1", "ADA").await.problem(429, "too_many_requests");
    app.forgot_from("192.0.2.2", "ada").await.expect(202);
    app.forgot_from("192.0.2.1", "bob").await.expect(202);
    app.stop_with_jobs().await;
}

#[actix_web::test]
async fn failures_are_counted_locally_when_counting_fails() {
    let settings = [PROXY, ("NVISY_LIMIT_NAME_MINUTE", "3"), ("NVISY_LIMIT_NAME_FAILURES_MINUTE", "5")];
    let app = TestApp::start_with(&settings).await;
    let ada = app.person("ada").await;
    app.sql("alter table request_limit rename to broken").await;
    for number in 0..7 {
        app.login_from(&network(number), "ada", PASSWORD).await.expect(200);
    }
    let mut made = 0;
    for number in 20..30 {
        made += usize::from(app.login_from(&network(number), "ada", WRONG).await.status == 401);
    }
    assert_eq!(made, 5);
    app.get(&ada, ACCOUNT).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn repeated_unknown_tokens_are_rejected_without_a_query() {
    let app = TestApp::start_with(&[PROXY, ("NVISY_LIMIT_REFUSED_MINUTE", "5")]).await;
    let ada = app.person("ada").await;
    let (good, id) = app.program(&ada, &["search"]).await;
    let (unseen, _) = app.program(&ada, &["search"]).await;
    let bob = app.person("bob").await;
    let here = "192.0.2.1";
    app.account_from(here, &good.token).await.expect(200);
    app.account_from(here, &ada.token).await.expect(200);

    // Tokens that are nobody's, until no more may be tried: how many there were, and the answer.
    let emptied = async || {
        let mut refused = 0;
        loop {
            let junk = token::generate(TokenKind::Api);
            match app.account_from(here, junk.expose()).await {
                answer if answer.status == 429 => break (refused, answer),
                answer => drop(answer.problem(401, "unauthenticated")),
            }
            refused += 1;
        }
    };
    let (refused, answer) = emptied().await;
    assert!(refused >= 5, "{refused}");
    assert!(answer.headers.contains_key("retry-after"));
    answer.problem(429, "too_many_requests");
    // At workspaces, too, and a good one that was not seen yet has to wait as well.
    let request = app.request(Method::GET, &format!("/api/v1/workspaces/{}", uuid::Uuid::nil()));
    let junk = token::generate(TokenKind::Api);
    let request = request.header("x-forwarded-for", here).bearer_auth(junk.expose());
    send(request).await.problem(429, "too_many_requests");
    emptied().await;
    app.account_from(here, &unseen.token).await.problem(429, "too_many_requests");
    emptied().await;
    // However many come side by side; one more may have flowed in meanwhile.
    let junk: Vec<_> = (0..40).map(|_| token::generate(TokenKind::Api)).collect();
    let answers = join_all(junk.iter().map(|junk| app.account_from(here, junk.expose()))).await;
    let asked = answers.iter().filter(|answer| answer.status == 401).count();
    assert!(asked <= 1, "{asked} were asked about");
    // What cannot be one costs nothing, and is refused as ever.
    app.account_from(here, "nvisy_nonsense").await.problem(401, "unauthenticated");
    // What was good goes on, and elsewhere everything does.
    for Person { token, .. } in [&good, &ada] {
        app.account_from(here, token).await.expect(200);
    }
    app.account_from("192.0.2.2", &unseen.token).await.expect(200);
    app.account_from("192.0.2.2", &bob.token).await.expect(200);
    app.account_from("192.0.2.2", token::generate(TokenKind::Api).expose()).await.problem(401, "unauthenticated");
    // It is asked about each time: what is revoked stops at once, and is unknown from then on.
    assert_eq!(app.delete(&ada, &format!("/api/v1/account/tokens/{id}")).await.status, 204);
    app.account_from(here, &good.token).await.problem(401, "unauthenticated");
    emptied().await;
    app.account_from(here, &good.token).await.problem(429, "too_many_requests");
    app.stop().await;
}

#[actix_web::test]
async fn valid_tokens_do_not_consume_the_invalid_token_limit() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_REFUSED_MINUTE", "2")]).await;
    let ada = app.person("ada").await;
    for _ in 0..8 {
        let (token, _) = app.program(&ada, &["search"]).await;
        app.get(&token, ACCOUNT).await.expect(200);
    }
    app.stop().await;
}
