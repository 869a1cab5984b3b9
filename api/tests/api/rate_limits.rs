//! Rate limits of accounts, workspaces, addresses and names, shared by all replicas.

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{
    PASSWORD, TestAccount, TestApp, TestResponse, send, start_second_api, stop_and_count, wait_until,
};

const ACCOUNT: &str = "/api/v1/account";

fn number(response: &TestResponse, header: &str) -> u32 {
    response.header(header).parse().unwrap_or_else(|_| panic!("{header} in {:?}", response.headers))
}

#[track_caller]
fn assert_throttled(response: TestResponse) {
    let wait = number(&response, "retry-after");
    for header in ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"] {
        assert!(response.headers.get_all(header).iter().count() <= 1, "{header} twice: {:?}", response.headers);
    }
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(response.problem(429, "too_many_requests")["retryAfter"], wait);
}

#[actix_web::test]
async fn responses_carry_the_remaining_rate_limit() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ACCOUNT_MINUTE", "60")]).await;
    let ada = app.create_account("ada").await;
    let first = app.get(&ada, ACCOUNT).await;
    assert_eq!(number(&first, "ratelimit-limit"), 60);
    assert_eq!(number(&first, "ratelimit-remaining"), 59);
    assert!(number(&first, "ratelimit-reset") >= 1);
    for _ in 0..30 {
        app.get(&ada, ACCOUNT).await.expect(200);
    }
    let later = app.get(&ada, ACCOUNT).await;
    assert!(number(&later, "ratelimit-remaining") < 59);
    // Rejected requests count as well.
    let rejected = app.get(&ada, "/api/v1/workspaces?limit=0").await;
    assert_eq!(number(&rejected, "ratelimit-limit"), 60);
    app.stop().await;
}

#[actix_web::test]
async fn unlimited_requests_are_not_counted() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    assert!(!app.get(&ada, ACCOUNT).await.headers.contains_key("ratelimit-limit"));
    assert_eq!(app.count("rate_limit_bucket").await, 0);
    app.stop().await;
}

#[actix_web::test]
async fn account_over_its_limit_is_throttled_until_the_bucket_refills() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ACCOUNT_MINUTE", "60")]).await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let mut responses = Vec::new();
    for _ in 0..10 {
        responses.extend(join_all((0..15).map(|_| app.get(&ada, ACCOUNT))).await);
    }
    let (accepted, throttled): (Vec<_>, Vec<_>) = responses.into_iter().partition(|response| response.status == 200);
    assert!(accepted.len() >= 60, "{} were accepted", accepted.len());
    assert!(!throttled.is_empty(), "150 were accepted");
    for response in throttled {
        assert_eq!(number(&response, "ratelimit-remaining"), 0);
        assert_throttled(response);
    }
    app.get(&bob, ACCOUNT).await.expect(200);
    wait_until("the bucket is refilled", async || (app.get(&ada, ACCOUNT).await.status == 200).then_some(())).await;
    app.stop().await;
}

#[actix_web::test]
async fn replicas_share_one_limit() {
    let limit = [("NVISY_LIMIT_ACCOUNT_MINUTE", "20")];
    let app = TestApp::start_with(&limit).await;
    let ada = app.create_account("ada").await;
    let (other, url) = start_second_api(&app, &limit).await;
    let mut accepted = 0;
    for _ in 0..20 {
        let here = app.get(&ada, ACCOUNT).await;
        let there = send(app.request_to(&url, Method::GET, ACCOUNT).bearer_auth(&ada.token)).await;
        accepted += [here.status, there.status].iter().filter(|status| **status == 200).count();
    }
    assert!((20..40).contains(&accepted), "{accepted} of 40 were accepted");
    drop(other);
    app.stop().await;
}

#[actix_web::test]
async fn non_members_do_not_consume_the_workspace_limit() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_WORKSPACE_MINUTE", "5")]).await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let (busy, quiet) = (app.create_workspace(&ada, "Busy").await, app.create_workspace(&ada, "Quiet").await);
    let read = |account: &TestAccount, workspace: &str| {
        let path = format!("/api/v1/workspaces/{workspace}");
        let account = account.clone();
        let app = &app;
        async move { app.get(&account, &path).await }
    };
    for _ in 0..20 {
        read(&bob, &busy).await.problem(404, "not_found");
    }
    let responses = join_all((0..20).map(|_| read(&ada, &busy))).await;
    let accepted = responses.iter().filter(|response| response.status == 200).count();
    assert!((5..20).contains(&accepted), "{accepted} of 20 were accepted");
    responses.into_iter().filter(|response| response.status != 200).for_each(assert_throttled);
    read(&ada, &quiet).await.expect(200);
    app.get(&ada, ACCOUNT).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn login_attempts_per_address_are_limited() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ADDRESS_MINUTE", "6")]).await;
    let ada = app.create_account("ada").await;
    let names: Vec<_> = (0..20).map(|n| format!("nobody{n}@example.org")).collect();
    let responses = join_all(names.iter().map(|name| app.login(name, PASSWORD))).await;
    assert!(responses.iter().any(|response| response.status == 401));
    assert!(responses.iter().any(|response| response.status == 429));
    for response in responses.into_iter().filter(|response| response.status == 429) {
        assert_eq!(number(&response, "ratelimit-limit"), 6);
        assert_throttled(response);
    }
    // Requests with a session are not limited.
    app.get(&ada, ACCOUNT).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn login_attempts_per_name_are_limited_for_known_and_unknown_names() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_NAME_MINUTE", "4")]).await;
    app.create_account("ada").await;
    let guess = async |name: &str| {
        let mut statuses: Vec<StatusCode> = Vec::new();
        for spelling in [name.to_owned(), name.to_uppercase()] {
            for _ in 0..8 {
                statuses.push(app.login(&format!("{spelling}@example.org"), "wrong").await.status);
            }
        }
        statuses
    };
    // The login of `ada` was one attempt: the unknown name gets one as well.
    app.login("nobody@example.org", "wrong").await.problem(401, "wrong_credentials");
    let (known, unknown) = (guess("ada").await, guess("nobody").await);
    for statuses in [known, unknown] {
        assert!(statuses[..2].iter().all(|status| *status == 401), "{statuses:?}");
        assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
    }
    let body = json!({ "email": "ADA@example.org ", "password": PASSWORD });
    let response = send(app.request(Method::POST, "/api/v1/auth/login").json(&body)).await;
    assert!([200, 429].contains(&response.status.as_u16()), "{}", response.text);
    app.login("bob@example.org", "wrong").await.problem(401, "wrong_credentials");
    let stored = app.rows("select encode(key, 'escape') as key from rate_limit_bucket").await;
    for row in stored {
        assert!(!row.try_get::<String>("", "key").unwrap().contains("ada"), "the table contains a name");
    }
    app.stop().await;
}

#[actix_web::test]
async fn requests_succeed_and_logins_stay_limited_when_counting_fails() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ACCOUNT_MINUTE", "5"), ("NVISY_LIMIT_ADDRESS_MINUTE", "5")]).await;
    app.sql("alter table rate_limit_bucket rename to broken").await;
    let ada = app.create_account("ada").await;
    let mut logins = Vec::new();
    for _ in 0..20 {
        app.get(&ada, ACCOUNT).await.expect(200);
        logins.push(app.login("nobody@example.org", PASSWORD).await.status.as_u16());
    }
    // Logins stay limited: sign-up and login were two attempts of five.
    assert_eq!(logins.iter().filter(|status| **status == 401).count(), 3, "{logins:?}");
    assert!(logins[3..].iter().all(|status| *status == 429), "{logins:?}");
    app.stop().await;
}

#[actix_web::test]
async fn percent_encoded_login_path_shares_the_limit() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ADDRESS_MINUTE", "6")]).await;
    let body = json!({ "email": "nobody@example.org", "password": PASSWORD });
    let responses =
        join_all((0..12).map(|_| send(app.request(Method::POST, "/api/v1/%61uth/login").json(&body)))).await;
    assert!(responses.iter().any(|response| response.status == 401), "the router decodes the path");
    assert!(responses.iter().any(|response| response.status == 429));
    app.stop().await;
}

#[actix_web::test]
async fn refresh_and_logout_work_while_logins_are_throttled() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ADDRESS_MINUTE", "6")]).await;
    let mut ada = app.create_account("ada").await;
    while app.login("nobody@example.org", PASSWORD).await.status != 429 {}
    // Each session has its own bucket of the same size.
    for _ in 0..5 {
        let body = json!({ "refreshToken": ada.refresh_token });
        let response = send(app.request(Method::POST, "/api/v1/auth/refresh").json(&body)).await.expect(200);
        ada.refresh_token = response["refreshToken"].as_str().unwrap().to_owned();
    }
    assert_eq!(app.post(&ada, "/api/v1/auth/logout", &json!({})).await.status, 204);
    app.stop().await;
}

#[actix_web::test]
async fn each_api_token_has_its_own_limit() {
    let settings = [("NVISY_LIMIT_TOKEN_MINUTE", "5"), ("NVISY_LIMIT_ACCOUNT_MINUTE", "1000")];
    let app = TestApp::start_with(&settings).await;
    let ada = app.create_account("ada").await;
    let (busy, id) = app.api_token(&ada, &json!({ "permissions": ["search"] })).await;
    let (quiet, _) = app.api_token(&ada, &json!({ "permissions": ["search"] })).await;
    let responses = join_all((0..20).map(|_| app.get(&busy, ACCOUNT))).await;
    let accepted = responses.iter().filter(|response| response.status == 200).count();
    assert!((5..20).contains(&accepted), "{accepted} of 20 were accepted");
    responses.into_iter().filter(|response| response.status != 200).for_each(assert_throttled);
    // The account and its other tokens are not throttled, and the token can be revoked.
    app.get(&quiet, ACCOUNT).await.expect(200);
    assert_eq!(app.delete(&ada, &format!("/api/v1/account/tokens/{id}")).await.status, 204);
    app.stop().await;
}

#[actix_web::test]
async fn password_confirmations_are_limited() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_NAME_MINUTE", "20")]).await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let guess = async |account: &TestAccount, password: &str| {
        app.post(account, "/api/v1/account/deletion", &json!({ "password": password })).await
    };
    let mut rejected = 0_i64;
    let throttled = wait_until("the attempts are throttled", async || match guess(&ada, "not the password").await {
        response if response.status == 429 => Some(response),
        response => {
            response.problem(403, "wrong_password");
            rejected += 1;
            None
        }
    });
    assert_throttled(throttled.await);
    guess(&bob, PASSWORD).await.expect(202);
    let recorded =
        stop_and_count(app, &format!("action = 'account.password_refused' and object_id = '{}'", ada.id)).await;
    assert_eq!(recorded.events, rejected);
}

#[actix_web::test]
async fn one_account_cannot_occupy_all_password_permits() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    app.create_account("bob").await;
    let guess =
        || async { app.post(&ada, "/api/v1/account/deletion", &json!({ "password": "not the password" })).await };
    let (responses, login) = tokio::join!(join_all((0..40).map(|_| guess())), app.login("bob@example.org", PASSWORD));
    login.expect(200);
    assert!(responses.iter().all(|response| [403, 429].contains(&response.status.as_u16())), "{responses:?}");
    assert!(responses.iter().any(|response| response.status == 429), "{responses:?}");
    app.stop().await;
}
