//! How many requests somebody may make, counted across replicas.

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    crash_recovery::second_api,
    failed_logins::stop_and_count,
    support::app::{Answer, PASSWORD, Person, TestApp, send, until},
};

const ACCOUNT: &str = "/api/v1/account";

fn number(answer: &Answer, header: &str) -> u32 {
    answer.header(header).parse().unwrap_or_else(|_| panic!("{header} in {:?}", answer.headers))
}

#[track_caller]
fn refused(answer: Answer) {
    let wait = number(&answer, "retry-after");
    for header in ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"] {
        assert!(answer.headers.get_all(header).iter().count() <= 1, "{header} twice: {:?}", answer.headers);
    }
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(answer.problem(429, "too_many_requests")["retryAfter"], wait);
}

#[actix_web::test]
async fn responses_carry_the_remaining_rate_limit() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ACCOUNT_MINUTE", "60")]).await;
    let ada = app.person("ada").await;
    let first = app.get(&ada, ACCOUNT).await;
    assert_eq!(number(&first, "ratelimit-limit"), 60);
    assert_eq!(number(&first, "ratelimit-remaining"), 59);
    assert!(number(&first, "ratelimit-reset") >= 1);
    for _ in 0..30 {
        app.get(&ada, ACCOUNT).await.expect(200);
    }
    let later = app.get(&ada, ACCOUNT).await;
    assert!(number(&later, "ratelimit-remaining") < 59);
    // Refusals for other reasons count and say so too.
    let wrong = app.get(&ada, "/api/v1/workspaces?limit=0").await;
    assert_eq!(number(&wrong, "ratelimit-limit"), 60);
    app.stop().await;
}

#[actix_web::test]
async fn unlimited_requests_are_not_counted() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    assert!(!app.get(&ada, ACCOUNT).await.headers.contains_key("ratelimit-limit"));
    assert_eq!(app.count("request_limit").await, 0);
    app.stop().await;
}

#[actix_web::test]
async fn account_over_its_limit_is_throttled_until_the_bucket_refills() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ACCOUNT_MINUTE", "60")]).await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.extend(join_all((0..15).map(|_| app.get(&ada, ACCOUNT))).await);
    }
    let (made, kept): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert!(made.len() >= 60, "{} were made", made.len());
    assert!(!kept.is_empty(), "150 were made");
    for answer in kept {
        assert_eq!(number(&answer, "ratelimit-remaining"), 0);
        refused(answer);
    }
    app.get(&bob, ACCOUNT).await.expect(200);
    until("a bucket fills again", async || (app.get(&ada, ACCOUNT).await.status == 200).then_some(())).await;
    app.stop().await;
}

#[actix_web::test]
async fn replicas_share_one_limit() {
    let limit = [("NVISY_LIMIT_ACCOUNT_MINUTE", "20")];
    let app = TestApp::start_with(&limit).await;
    let ada = app.person("ada").await;
    let (other, url) = second_api(&app, &limit).await;
    let mut made = 0;
    for _ in 0..20 {
        let here = app.get(&ada, ACCOUNT).await;
        let there = send(app.request_to(&url, Method::GET, ACCOUNT).bearer_auth(&ada.token)).await;
        made += [here.status, there.status].iter().filter(|status| **status == 200).count();
    }
    assert!((20..40).contains(&made), "{made} of 40 were made");
    drop(other);
    app.stop().await;
}

#[actix_web::test]
async fn non_members_do_not_consume_the_workspace_limit() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_WORKSPACE_MINUTE", "5")]).await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let (busy, quiet) = (app.workspace(&ada, "Busy").await, app.workspace(&ada, "Quiet").await);
    let read = |person: &Person, workspace: &str| {
        let path = format!("/api/v1/workspaces/{workspace}");
        let person = person.clone();
        let app = &app;
        async move { app.get(&person, &path).await }
    };
    for _ in 0..20 {
        read(&bob, &busy).await.problem(404, "not_found");
    }
    let answers = join_all((0..20).map(|_| read(&ada, &busy))).await;
    let made = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((5..20).contains(&made), "{made} of 20 were made");
    answers.into_iter().filter(|answer| answer.status != 200).for_each(refused);
    read(&ada, &quiet).await.expect(200);
    app.get(&ada, ACCOUNT).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn login_attempts_per_address_are_limited() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ADDRESS_MINUTE", "6")]).await;
    let ada = app.person("ada").await;
    let names: Vec<_> = (0..20).map(|n| format!("nobody{n}@example.org")).collect();
    let tries = join_all(names.iter().map(|name| app.login(name, PASSWORD))).await;
    assert!(tries.iter().any(|answer| answer.status == 401));
    assert!(tries.iter().any(|answer| answer.status == 429));
    for answer in tries.into_iter().filter(|answer| answer.status == 429) {
        assert_eq!(number(&answer, "ratelimit-limit"), 6);
        refused(answer);
    }
    // Whoever is inside is not held up.
    app.get(&ada, ACCOUNT).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn login_attempts_per_name_are_limited_for_known_and_unknown_names() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_NAME_MINUTE", "4")]).await;
    app.person("ada").await;
    let guess = async |name: &str| {
        let mut seen: Vec<StatusCode> = Vec::new();
        for spelling in [name.to_owned(), name.to_uppercase()] {
            for _ in 0..8 {
                seen.push(app.login(&format!("{spelling}@example.org"), "wrong").await.status);
            }
        }
        seen
    };
    // She has logged in just now, which was a try: an unknown name gets the same, less that.
    app.login("nobody@example.org", "wrong").await.problem(401, "wrong_credentials");
    let (known, unknown) = (guess("ada").await, guess("nobody").await);
    for seen in [known, unknown] {
        assert!(seen[..2].iter().all(|status| *status == 401), "{seen:?}");
        assert!(seen.contains(&StatusCode::TOO_MANY_REQUESTS), "{seen:?}");
    }
    let body = json!({ "email": "ADA@example.org ", "password": PASSWORD });
    let answer = send(app.request(Method::POST, "/api/v1/auth/login").json(&body)).await;
    assert!([200, 429].contains(&answer.status.as_u16()), "{}", answer.text);
    app.login("bob@example.org", "wrong").await.problem(401, "wrong_credentials");
    let stored = app.rows("select encode(key, 'escape') as key from request_limit").await;
    for row in stored {
        assert!(!row.try_get::<String>("", "key").unwrap().contains("ada"), "names are not to be read from the table");
    }
    app.stop().await;
}

#[actix_web::test]
async fn requests_succeed_and_logins_stay_limited_when_counting_fails() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ACCOUNT_MINUTE", "5"), ("NVISY_LIMIT_ADDRESS_MINUTE", "5")]).await;
    app.sql("alter table request_limit rename to broken").await;
    let ada = app.person("ada").await;
    let mut tries = Vec::new();
    for _ in 0..20 {
        app.get(&ada, ACCOUNT).await.expect(200);
        tries.push(app.login("nobody@example.org", PASSWORD).await.status.as_u16());
    }
    // Passwords stay guarded: signing up and in were two tries of five.
    assert_eq!(tries.iter().filter(|status| **status == 401).count(), 3, "{tries:?}");
    assert!(tries[3..].iter().all(|status| *status == 429), "{tries:?}");
    app.stop().await;
}

#[actix_web::test]
async fn percent_encoded_login_path_shares_the_limit() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ADDRESS_MINUTE", "6")]).await;
    let body = json!({ "email": "nobody@example.org", "password": PASSWORD });
    let tries = join_all((0..12).map(|_| send(app.request(Method::POST, "/api/v1/%61uth/login").json(&body)))).await;
    assert!(tries.iter().any(|answer| answer.status == 401), "the router reads both alike");
    assert!(tries.iter().any(|answer| answer.status == 429));
    app.stop().await;
}

#[actix_web::test]
async fn refresh_and_logout_work_while_logins_are_throttled() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ADDRESS_MINUTE", "6")]).await;
    let mut ada = app.person("ada").await;
    while app.login("nobody@example.org", PASSWORD).await.status != 429 {}
    // The session has a bucket of its own, of the same size.
    for _ in 0..5 {
        let body = json!({ "refreshToken": ada.refresh });
        let answer = send(app.request(Method::POST, "/api/v1/auth/refresh").json(&body)).await.expect(200);
        ada.refresh = answer["refreshToken"].as_str().unwrap().to_owned();
    }
    assert_eq!(app.post(&ada, "/api/v1/auth/logout", &json!({})).await.status, 204);
    app.stop().await;
}

#[actix_web::test]
async fn each_api_token_has_its_own_limit() {
    let settings = [("NVISY_LIMIT_TOKEN_MINUTE", "5"), ("NVISY_LIMIT_ACCOUNT_MINUTE", "1000")];
    let app = TestApp::start_with(&settings).await;
    let ada = app.person("ada").await;
    let (wild, id) = app.program(&ada, &["search"]).await;
    let (calm, _) = app.program(&ada, &["search"]).await;
    let tries = join_all((0..20).map(|_| app.get(&wild, ACCOUNT))).await;
    let made = tries.iter().filter(|answer| answer.status == 200).count();
    assert!((5..20).contains(&made), "{made} of 20 were made");
    tries.into_iter().filter(|answer| answer.status != 200).for_each(refused);
    // Its owner and its sisters go on, and she can end it.
    app.get(&calm, ACCOUNT).await.expect(200);
    assert_eq!(app.delete(&ada, &format!("/api/v1/account/tokens/{id}")).await.status, 204);
    app.stop().await;
}

#[actix_web::test]
async fn password_confirmations_are_limited() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_NAME_MINUTE", "20")]).await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let guess = async |person: &Person, password: &str| {
        app.post(person, "/api/v1/account/deletion", &json!({ "password": password })).await
    };
    let mut wrong = 0_i64;
    let kept = until("the limit", async || match guess(&ada, "not the password").await {
        answer if answer.status == 429 => Some(answer),
        answer => {
            answer.problem(403, "wrong_password");
            wrong += 1;
            None
        }
    });
    refused(kept.await);
    guess(&bob, PASSWORD).await.expect(202);
    let refused =
        stop_and_count(app, &format!("action = 'account.password_refused' and object_id = '{}'", ada.id)).await;
    assert_eq!(refused.times, wrong);
}

#[actix_web::test]
async fn one_account_cannot_occupy_all_password_permits() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    app.person("bob").await;
    let guess =
        || async { app.post(&ada, "/api/v1/account/deletion", &json!({ "password": "not the password" })).await };
    let (answers, login) = tokio::join!(join_all((0..40).map(|_| guess())), app.login("bob@example.org", PASSWORD));
    login.expect(200);
    assert!(answers.iter().all(|answer| [403, 429].contains(&answer.status.as_u16())), "{answers:?}");
    assert!(answers.iter().any(|answer| answer.status == 429), "{answers:?}");
    app.stop().await;
}
