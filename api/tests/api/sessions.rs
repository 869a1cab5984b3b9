//! Sessions and their refresh tokens.

use futures::future::join_all;
use nvisy_shared::{
    crypt::token::{self, TokenKind},
    store::{Conn, TransactionTrait},
};
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::support::{PASSWORD, TestAccount, TestApp, TestResponse, send, wait_until};

async fn refresh(app: &TestApp, token: &str) -> TestResponse {
    send(app.request(Method::POST, "/api/v1/auth/refresh").json(&json!({ "refreshToken": token }))).await
}

fn text(tokens: &Value, name: &str) -> String {
    tokens[name].as_str().unwrap().to_owned()
}

async fn sessions(app: &TestApp, account: &TestAccount) -> Vec<Value> {
    app.get(account, "/api/v1/account/sessions").await.expect(200)["items"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn refresh_returns_a_new_token_pair() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let first = refresh(&app, &ada.refresh_token).await.expect(200);
    let second = refresh(&app, &text(&first, "refreshToken")).await.expect(200);
    assert_ne!(first["refreshToken"], second["refreshToken"]);
    assert_eq!(second["expiresIn"], 900);
    for tokens in [&first, &second] {
        let later = TestAccount { token: text(tokens, "accessToken"), ..ada.clone() };
        app.get(&later, "/api/v1/account").await.expect(200);
    }
    assert_eq!(sessions(&app, &ada).await.len(), 1);
    app.stop().await;
}

#[actix_web::test]
async fn reused_refresh_token_ends_the_session() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let other = app.new_session(&ada).await;
    let first = refresh(&app, &ada.refresh_token).await.expect(200);
    let second = refresh(&app, &text(&first, "refreshToken")).await.expect(200);
    refresh(&app, &ada.refresh_token).await.problem(401, "refresh_token_refused");
    // All refresh and access tokens of the session are rejected.
    refresh(&app, &text(&second, "refreshToken")).await.problem(401, "refresh_token_refused");
    let later = TestAccount { token: text(&second, "accessToken"), ..ada.clone() };
    app.get(&later, "/api/v1/account").await.problem(401, "unauthenticated");
    // Other sessions remain valid and can read the entry.
    app.get(&other, "/api/v1/account").await.expect(200);
    let log = app.get(&other, "/api/v1/account/activities?type=session.stolen").await.expect(200);
    let entries = log["items"].as_array().unwrap();
    assert_eq!((entries.len(), entries[0]["object"]["kind"].as_str()), (1, Some("session")));
    app.stop().await;
}

#[actix_web::test]
async fn refresh_response_is_replayed_for_half_a_minute() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let responses = join_all((0..8).map(|_| refresh(&app, &ada.refresh_token))).await;
    let next: Vec<Value> = responses.into_iter().map(|response| response.expect(200)["refreshToken"].take()).collect();
    assert!(next.iter().all(|token| *token == next[0]), "{next:?}");
    assert_eq!(app.count("refresh_token").await, 2);

    app.sql("update refresh_token set used_at = used_at - interval '31 seconds'").await;
    refresh(&app, &ada.refresh_token).await.problem(401, "refresh_token_refused");
    refresh(&app, next[0].as_str().unwrap()).await.problem(401, "refresh_token_refused");
    app.stop().await;
}

#[actix_web::test]
async fn refresh_response_is_not_replayed_to_another_device() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ada = app.create_account("ada").await;
    let refresh = async |token: &str, name: &str, address: &str| {
        let request = app.request(Method::POST, "/api/v1/auth/refresh").header(header::USER_AGENT, name);
        send(request.header("x-forwarded-for", address).json(&json!({ "refreshToken": token }))).await
    };
    let next = text(&refresh(&ada.refresh_token, "Phone", "192.0.2.1").await.expect(200), "refreshToken");
    // The same user agent from another address, and another user agent from the same address.
    refresh(&ada.refresh_token, "Phone", "192.0.2.2").await.expect(200);
    refresh(&ada.refresh_token, "Tablet", "192.0.2.1").await.expect(200);
    refresh(&ada.refresh_token, "Tablet", "192.0.2.2").await.problem(401, "refresh_token_refused");
    refresh(&next, "Phone", "192.0.2.1").await.problem(401, "refresh_token_refused");
    app.stop().await;
}

#[actix_web::test]
async fn invalid_refresh_token_is_rejected_without_ending_a_session() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let mut broken = ada.refresh_token.clone();
    broken.replace_range(20..21, if &broken[20..21] == "0" { "1" } else { "0" });
    for token in ["", "x", &ada.token, &broken, &"x".repeat(10_000)] {
        refresh(&app, token).await.problem(401, "refresh_token_refused");
    }
    // A refresh token is not an access token.
    let account = TestAccount { token: ada.refresh_token.clone(), ..ada.clone() };
    app.get(&account, "/api/v1/account").await.problem(401, "unauthenticated");
    refresh(&app, &ada.refresh_token).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn logout_takes_effect_at_the_next_request() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let other = app.new_session(&ada).await;
    assert_eq!(app.post(&ada, "/api/v1/auth/logout", &json!({})).await.status, 204);
    app.get(&ada, "/api/v1/account").await.problem(401, "unauthenticated");
    app.get(&ada, &format!("/api/v1/workspaces/{}", ada.id)).await.problem(401, "unauthenticated");
    refresh(&app, &ada.refresh_token).await.problem(401, "refresh_token_refused");
    app.get(&other, "/api/v1/account").await.expect(200);

    let third = app.new_session(&ada).await;
    assert_eq!(app.delete(&third, "/api/v1/account/sessions").await.status, 204);
    for account in [&other, &third] {
        app.get(account, "/api/v1/account").await.problem(401, "unauthenticated");
        refresh(&app, &account.refresh_token).await.problem(401, "refresh_token_refused");
    }
    app.stop().await;
}

#[actix_web::test]
async fn sessions_are_listed_and_revoked_only_by_their_owner() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let body = json!({ "email": ada.email, "password": PASSWORD });
    let login = app.request(Method::POST, "/api/v1/auth/login").header(header::USER_AGENT, "u".repeat(300));
    let tokens = send(login.json(&body)).await.expect(200);
    let phone = TestAccount { token: text(&tokens, "accessToken"), ..ada.clone() };

    let all = sessions(&app, &ada).await;
    assert_eq!(all.len(), 2);
    assert_eq!((&all[0]["current"], &all[1]["current"]), (&json!(false), &json!(true)));
    assert_eq!(all[0]["userAgent"], "u".repeat(255));
    assert_eq!(all[0]["address"], "127.0.0.1");
    for field in ["createdAt", "lastUsedAt", "expiresAt"] {
        assert!(all[0][field].is_string(), "{}", all[0]);
    }
    let page = app.get(&ada, "/api/v1/account/sessions?limit=1").await.expect(200);
    let next = format!("/api/v1/account/sessions?limit=1&cursor={}", page["nextCursor"].as_str().unwrap());
    assert_eq!(app.get(&ada, &next).await.expect(200)["items"][0]["id"], all[1]["id"]);

    let path = format!("/api/v1/account/sessions/{}", all[0]["id"].as_str().unwrap());
    app.delete(&bob, &path).await.problem(404, "not_found");
    app.get(&phone, "/api/v1/account").await.expect(200);
    assert_eq!(app.delete(&ada, &path).await.status, 204);
    app.get(&phone, "/api/v1/account").await.problem(401, "unauthenticated");
    app.delete(&ada, &path).await.problem(404, "not_found");
    app.stop().await;
}

#[actix_web::test]
async fn session_lifetime_follows_the_settings() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    app.sql("update session set expires_at = now() + interval '1 day', created_at = now() - interval '89 days'").await;
    let tokens = refresh(&app, &ada.refresh_token).await.expect(200);
    let rows = app.rows("select extract(epoch from expires_at - created_at)::float8 as life from session").await;
    let life: f64 = rows[0].try_get("", "life").unwrap();
    assert!((life - 90.0 * 86_400.0).abs() < 1.0, "{life}");
    app.sql("update session set expires_at = now()").await;
    app.get(&ada, "/api/v1/account").await.problem(401, "unauthenticated");
    refresh(&app, &text(&tokens, "refreshToken")).await.problem(401, "refresh_token_refused");
    assert_eq!(sessions(&app, &app.new_session(&ada).await).await.len(), 1);
    app.stop().await;
}

#[actix_web::test]
async fn suspended_account_cannot_refresh() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    app.sql("update account set state = 'suspended'").await;
    refresh(&app, &ada.refresh_token).await.problem(403, "account_suspended");
    app.sql("update account set state = 'active'").await;
    refresh(&app, &ada.refresh_token).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn unknown_refresh_tokens_are_rejected_without_a_query() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ADDRESS_MINUTE", "60")]).await;
    let ada = app.create_account("ada").await;
    let lock_holder = app.db.begin().await.unwrap();
    lock_holder
        .execute_unprepared("lock table session, refresh_token, rate_limit_bucket in access exclusive mode")
        .await
        .unwrap();
    for _ in 0..100 {
        let unknown = token::generate(TokenKind::Refresh);
        refresh(&app, unknown.expose()).await.problem(401, "refresh_token_refused");
    }
    lock_holder.rollback().await.unwrap();
    refresh(&app, &ada.refresh_token).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn refreshes_per_session_are_limited() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ADDRESS_MINUTE", "20")]).await;
    let ada = app.create_account("ada").await;
    let other = app.new_session(&ada).await;
    let mut newest = ada.refresh_token.clone();
    let throttled = wait_until("refreshes are throttled", async || match refresh(&app, &newest).await {
        response if response.status == 429 => Some(response),
        response => {
            newest = text(&response.expect(200), "refreshToken");
            None
        }
    })
    .await;
    assert_eq!(throttled.header("ratelimit-limit"), "20");
    // Another session has its own limit.
    let other = refresh(&app, &other.refresh_token).await;
    assert_eq!((other.header("ratelimit-limit"), other.header("ratelimit-remaining")), ("20", "19"));
    let other = other.expect(200);
    // The limit also holds for the tokens of an ended session.
    let ended = text(&other, "refreshToken");
    app.sql("delete from session").await;
    let throttled = wait_until("refreshes are throttled", async || match refresh(&app, &ended).await {
        response if response.status == 429 => Some(response),
        response => {
            response.problem(401, "refresh_token_refused");
            None
        }
    });
    throttled.await.problem(429, "too_many_requests");
    app.stop().await;
}
