use futures::future::join_all;
use nvisy_shared::{
    crypt::token::{self, TokenKind},
    store::{Conn, TransactionTrait},
};
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::support::app::{Answer, PASSWORD, Person, TestApp, send, until};

async fn refresh(app: &TestApp, token: &str) -> Answer {
    send(app.request(Method::POST, "/api/v1/auth/refresh").json(&json!({ "refreshToken": token }))).await
}

fn text(tokens: &Value, name: &str) -> String {
    tokens[name].as_str().unwrap().to_owned()
}

async fn sessions(app: &TestApp, person: &Person) -> Vec<Value> {
    app.get(person, "/api/v1/account/sessions").await.expect(200)["items"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn refresh_returns_a_new_token_pair() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let first = refresh(&app, &ada.refresh).await.expect(200);
    let second = refresh(&app, &text(&first, "refreshToken")).await.expect(200);
    assert_ne!(first["refreshToken"], second["refreshToken"]);
    assert_eq!(second["expiresIn"], 900);
    for tokens in [&first, &second] {
        let later = Person { token: text(tokens, "accessToken"), ..ada.clone() };
        app.get(&later, "/api/v1/account").await.expect(200);
    }
    assert_eq!(sessions(&app, &ada).await.len(), 1);
    app.stop().await;
}

#[actix_web::test]
async fn reused_refresh_token_ends_the_session() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let other = app.again(&ada).await;
    let first = refresh(&app, &ada.refresh).await.expect(200);
    let second = refresh(&app, &text(&first, "refreshToken")).await.expect(200);
    refresh(&app, &ada.refresh).await.problem(401, "refresh_token_refused");
    // The thief's and the owner's: neither works any more, nor do their access tokens.
    refresh(&app, &text(&second, "refreshToken")).await.problem(401, "refresh_token_refused");
    let later = Person { token: text(&second, "accessToken"), ..ada.clone() };
    app.get(&later, "/api/v1/account").await.problem(401, "unauthenticated");
    // Other sessions go on, and read of it.
    app.get(&other, "/api/v1/account").await.expect(200);
    let log = app.get(&other, "/api/v1/account/activities?type=session.stolen").await.expect(200);
    let entries = log["items"].as_array().unwrap();
    assert_eq!((entries.len(), entries[0]["object"]["kind"].as_str()), (1, Some("session")));
    app.stop().await;
}

#[actix_web::test]
async fn refresh_response_is_replayed_for_half_a_minute() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let answers = join_all((0..8).map(|_| refresh(&app, &ada.refresh))).await;
    let next: Vec<Value> = answers.into_iter().map(|answer| answer.expect(200)["refreshToken"].take()).collect();
    assert!(next.iter().all(|token| *token == next[0]), "{next:?}");
    assert_eq!(app.count("refresh_token").await, 2);

    app.sql("update refresh_token set used_at = used_at - interval '31 seconds'").await;
    refresh(&app, &ada.refresh).await.problem(401, "refresh_token_refused");
    refresh(&app, next[0].as_str().unwrap()).await.problem(401, "refresh_token_refused");
    app.stop().await;
}

#[actix_web::test]
async fn refresh_response_is_not_replayed_to_another_device() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ada = app.person("ada").await;
    let refresh = async |token: &str, name: &str, address: &str| {
        let request = app.request(Method::POST, "/api/v1/auth/refresh").header(header::USER_AGENT, name);
        send(request.header("x-forwarded-for", address).json(&json!({ "refreshToken": token }))).await
    };
    let next = text(&refresh(&ada.refresh, "Phone", "192.0.2.1").await.expect(200), "refreshToken");
    // The same phone in another network, and something else in the same house.
    refresh(&ada.refresh, "Phone", "192.0.2.2").await.expect(200);
    refresh(&ada.refresh, "Tablet", "192.0.2.1").await.expect(200);
    refresh(&ada.refresh, "Tablet", "192.0.2.2").await.problem(401, "refresh_token_refused");
    refresh(&next, "Phone", "192.0.2.1").await.problem(401, "refresh_token_refused");
    app.stop().await;
}

#[actix_web::test]
async fn invalid_refresh_token_is_rejected_without_ending_a_session() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let mut broken = ada.refresh.clone();
    broken.replace_range(20..21, if &broken[20..21] == "0" { "1" } else { "0" });
    for token in ["", "x", &ada.token, &broken, &"x".repeat(10_000)] {
        refresh(&app, token).await.problem(401, "refresh_token_refused");
    }
    // It is no access token either.
    let person = Person { token: ada.refresh.clone(), ..ada.clone() };
    app.get(&person, "/api/v1/account").await.problem(401, "unauthenticated");
    refresh(&app, &ada.refresh).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn logout_takes_effect_at_the_next_request() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let other = app.again(&ada).await;
    assert_eq!(app.post(&ada, "/api/v1/auth/logout", &json!({})).await.status, 204);
    app.get(&ada, "/api/v1/account").await.problem(401, "unauthenticated");
    app.get(&ada, &format!("/api/v1/workspaces/{}", ada.id)).await.problem(401, "unauthenticated");
    refresh(&app, &ada.refresh).await.problem(401, "refresh_token_refused");
    app.get(&other, "/api/v1/account").await.expect(200);

    let third = app.again(&ada).await;
    assert_eq!(app.delete(&third, "/api/v1/account/sessions").await.status, 204);
    for person in [&other, &third] {
        app.get(person, "/api/v1/account").await.problem(401, "unauthenticated");
        refresh(&app, &person.refresh).await.problem(401, "refresh_token_refused");
    }
    app.stop().await;
}

#[actix_web::test]
async fn sessions_are_listed_and_revoked_only_by_their_owner() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let body = json!({ "email": ada.email, "password": PASSWORD });
    let login = app.request(Method::POST, "/api/v1/auth/login").header(header::USER_AGENT, "u".repeat(300));
    let tokens = send(login.json(&body)).await.expect(200);
    let phone = Person { token: text(&tokens, "accessToken"), ..ada.clone() };

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
    let ada = app.person("ada").await;
    app.sql("update session set expires_at = now() + interval '1 day', created_at = now() - interval '89 days'").await;
    let tokens = refresh(&app, &ada.refresh).await.expect(200);
    let rows = app.rows("select extract(epoch from expires_at - created_at)::float8 as life from session").await;
    let life: f64 = rows[0].try_get("", "life").unwrap();
    assert!((life - 90.0 * 86_400.0).abs() < 1.0, "{life}");
    app.sql("update session set expires_at = now()").await;
    app.get(&ada, "/api/v1/account").await.problem(401, "unauthenticated");
    refresh(&app, &text(&tokens, "refreshToken")).await.problem(401, "refresh_token_refused");
    assert_eq!(sessions(&app, &app.again(&ada).await).await.len(), 1);
    app.stop().await;
}

#[actix_web::test]
async fn suspended_account_cannot_refresh() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    app.sql("update account set state = 'suspended'").await;
    refresh(&app, &ada.refresh).await.problem(403, "account_suspended");
    app.sql("update account set state = 'active'").await;
    refresh(&app, &ada.refresh).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn unknown_refresh_tokens_are_rejected_without_a_query() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ADDRESS_MINUTE", "60")]).await;
    let ada = app.person("ada").await;
    let held = app.db.begin().await.unwrap();
    held.execute_unprepared("lock table session, refresh_token, request_limit in access exclusive mode").await.unwrap();
    for _ in 0..100 {
        let junk = token::generate(TokenKind::Refresh);
        refresh(&app, junk.expose()).await.problem(401, "refresh_token_refused");
    }
    held.rollback().await.unwrap();
    refresh(&app, &ada.refresh).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn refreshes_per_session_are_limited() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ADDRESS_MINUTE", "20")]).await;
    let ada = app.person("ada").await;
    let other = app.again(&ada).await;
    let mut newest = ada.refresh.clone();
    let refused = until("the limit", async || match refresh(&app, &newest).await {
        answer if answer.status == 429 => Some(answer),
        answer => {
            newest = text(&answer.expect(200), "refreshToken");
            None
        }
    })
    .await;
    assert_eq!(refused.header("ratelimit-limit"), "20");
    // It is the session's, and of no other.
    let other = refresh(&app, &other.refresh).await;
    assert_eq!((other.header("ratelimit-limit"), other.header("ratelimit-remaining")), ("20", "19"));
    let other = other.expect(200);
    // One that is over has the same: its tokens are ours, and nobody's any more.
    let dead = text(&other, "refreshToken");
    app.sql("delete from session").await;
    let refused = until("the limit", async || match refresh(&app, &dead).await {
        answer if answer.status == 429 => Some(answer),
        answer => {
            answer.problem(401, "refresh_token_refused");
            None
        }
    });
    refused.await.problem(429, "too_many_requests");
    app.stop().await;
}
