//! The second factor: enrolment, codes, recovery codes.

use reqwest::Method;
use serde_json::json;
use totp_rs::Secret;

use crate::support::{
    PASSWORD, TestAccount, TestApp, TestResponse,
    second_factor::{PATH, allow_reuse, confirm, enrol},
    send, wait_until,
};

async fn login(app: &TestApp, account: &TestAccount, code: &str) -> TestResponse {
    let body = json!({ "email": account.email, "password": PASSWORD, "code": code });
    send(app.request(Method::POST, "/api/v1/auth/login").json(&body)).await
}

#[actix_web::test]
async fn login_requires_a_confirmed_second_factor() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let other = app.new_session(&ada).await;
    app.post(&ada, PATH, &json!({ "password": "not the password" })).await.problem(403, "wrong_password");
    confirm(&app, &ada, "123456").await.problem(409, "no_enrolment");
    let authenticator = enrol(&app, &ada).await;
    // An unconfirmed factor is not required.
    app.login(&ada.email, PASSWORD).await.expect(200);
    confirm(&app, &ada, "not a code").await.problem(401, "wrong_code");
    let codes = confirm(&app, &ada, &authenticator.code(0)).await.expect(200);
    assert_eq!(codes["recoveryCodes"].as_array().unwrap().len(), 10);
    assert_eq!(app.get(&ada, PATH).await.expect(200), json!({ "active": true, "recoveryCodes": 10 }));
    app.post(&ada, PATH, &json!({ "password": PASSWORD })).await.problem(409, "second_factor_active");
    app.get(&other, "/api/v1/account").await.problem(401, "unauthenticated");

    allow_reuse(&app).await;
    app.login(&ada.email, PASSWORD).await.problem(401, "second_factor_needed");
    app.login(&ada.email, "not the password").await.problem(401, "wrong_credentials");
    login(&app, &ada, "000000x").await.problem(401, "wrong_code");
    login(&app, &ada, &authenticator.code(0)).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn code_is_accepted_once() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let authenticator = enrol(&app, &ada).await;
    let first = authenticator.code(0);
    confirm(&app, &ada, &first).await.expect(200);
    login(&app, &ada, &first).await.problem(401, "wrong_code");
    let next = authenticator.code(1);
    login(&app, &ada, &next).await.expect(200);
    login(&app, &ada, &next).await.problem(401, "wrong_code");
    // An older code is rejected after a newer one.
    login(&app, &ada, &first).await.problem(401, "wrong_code");
    // A code of a distant step is rejected.
    allow_reuse(&app).await;
    login(&app, &ada, &authenticator.code(4)).await.problem(401, "wrong_code");
    app.stop().await;
}

#[actix_web::test]
async fn wrong_codes_are_throttled_with_doubling_waits() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let authenticator = enrol(&app, &ada).await;
    confirm(&app, &ada, &authenticator.code(0)).await.expect(200);
    allow_reuse(&app).await;
    for _ in 0..5 {
        login(&app, &ada, "not a code").await.problem(401, "wrong_code");
    }
    let throttled = login(&app, &ada, &authenticator.code(0)).await;
    assert!((1..=60).contains(&throttled.header("retry-after").parse::<u32>().unwrap()), "{:?}", throttled.headers);
    throttled.problem(429, "too_many_codes");
    // Each wait is twice the previous one.
    let advance = async |seconds: u32| {
        app.sql(&format!("update totp set failed_at = failed_at - interval '{seconds} seconds'")).await;
    };
    advance(61).await;
    login(&app, &ada, "not a code").await.problem(401, "wrong_code");
    advance(61).await;
    login(&app, &ada, &authenticator.code(0)).await.problem(429, "too_many_codes");
    advance(60).await;
    login(&app, &ada, &authenticator.code(0)).await.expect(200);
    assert_eq!(app.rows("select from totp where failures = 0").await.len(), 1);
    app.stop().await;
}

#[actix_web::test]
async fn recovery_code_is_accepted_while_codes_are_throttled() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let authenticator = enrol(&app, &ada).await;
    let codes = confirm(&app, &ada, &authenticator.code(0)).await.expect(200)["recoveryCodes"].take();
    for _ in 0..5 {
        login(&app, &ada, "not a code").await.problem(401, "wrong_code");
    }
    login(&app, &ada, &authenticator.code(1)).await.problem(429, "too_many_codes");
    login(&app, &ada, "abcd-efgh-jkmn-pqrs").await.problem(429, "too_many_codes");
    login(&app, &ada, codes[0].as_str().unwrap()).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn rejected_logins_are_recorded_with_their_reason() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let authenticator = enrol(&app, &ada).await;
    let reasons = async || {
        let rows = "select action, details::json ->> 'reason' as reason from activity
             where action = 'session.refused' or action like 'account.%_refused' order by chain, seq";
        let rows = app.rows(rows).await;
        rows.iter()
            .map(|row| {
                let action: String = row.try_get("", "action").unwrap();
                let reason: Option<String> = row.try_get("", "reason").unwrap();
                reason.map_or(action.clone(), |reason| format!("{action} {reason}"))
            })
            .collect::<Vec<_>>()
    };
    confirm(&app, &ada, "not a code").await.problem(401, "wrong_code");
    confirm(&app, &ada, &authenticator.code(0)).await.expect(200);
    allow_reuse(&app).await;
    app.login(&ada.email, PASSWORD).await.problem(401, "second_factor_needed");
    login(&app, &ada, &authenticator.code(0)).await.expect(200);
    assert_eq!(reasons().await, ["account.code_refused"]);
    // Some entries are written by the rejected request, others after it.
    let wait_for_reasons = async |entries| {
        wait_until("the entries are written", async || (reasons().await.len() == entries).then_some(())).await;
    };
    login(&app, &ada, "not a code").await.problem(401, "wrong_code");
    app.login(&ada.email, "not the password").await.problem(401, "wrong_credentials");
    wait_for_reasons(3).await;
    app.post(&ada, &format!("{PATH}/disable"), &json!({ "password": "no", "code": "123456" }))
        .await
        .problem(403, "wrong_password");
    wait_for_reasons(4).await;
    app.post(&ada, &format!("{PATH}/disable"), &json!({ "password": PASSWORD, "code": "123456" }))
        .await
        .problem(401, "wrong_code");
    app.sql("update account set state = 'suspended'").await;
    app.login(&ada.email, PASSWORD).await.problem(403, "account_suspended");
    wait_for_reasons(6).await;
    assert_eq!(
        reasons().await[1..],
        [
            "session.refused code",
            "session.refused password",
            "account.password_refused",
            "account.code_refused",
            "session.refused suspended"
        ]
    );
    app.stop().await;
}

#[actix_web::test]
async fn recovery_code_is_accepted_once() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let authenticator = enrol(&app, &ada).await;
    let codes = confirm(&app, &ada, &authenticator.code(0)).await.expect(200)["recoveryCodes"].take();
    let code = |n: usize| codes[n].as_str().unwrap().to_owned();
    let stored = app.rows("select string_agg(encode(hash, 'escape'), ' ') as hashes from recovery_code").await;
    assert!(!stored[0].try_get::<String>("", "hashes").unwrap().contains(&code(0)));
    login(&app, &ada, &code(0).to_uppercase()).await.expect(200);
    login(&app, &ada, &code(0)).await.problem(401, "wrong_code");
    assert_eq!(app.get(&ada, PATH).await.expect(200)["recoveryCodes"], 9);

    let body = json!({ "password": PASSWORD, "code": code(1) });
    let new = app.post(&ada, &format!("{PATH}/recovery-codes"), &body).await.expect(200)["recoveryCodes"].take();
    login(&app, &ada, &code(2)).await.problem(401, "wrong_code");
    login(&app, &ada, new[0].as_str().unwrap()).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn disabling_requires_both_factors() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let disable = async |password: &str, code: &str| {
        app.post(&ada, &format!("{PATH}/disable"), &json!({ "password": password, "code": code })).await
    };
    disable(PASSWORD, "123456").await.problem(409, "no_second_factor");
    let authenticator = enrol(&app, &ada).await;
    confirm(&app, &ada, &authenticator.code(0)).await.expect(200);
    allow_reuse(&app).await;
    disable("not the password", &authenticator.code(0)).await.problem(403, "wrong_password");
    disable(PASSWORD, "not a code").await.problem(401, "wrong_code");
    assert_eq!(disable(PASSWORD, &authenticator.code(0)).await.status, 204);
    assert_eq!(app.get(&ada, PATH).await.expect(200), json!({ "active": false, "recoveryCodes": 0 }));
    app.login(&ada.email, PASSWORD).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn secret_is_encrypted_in_the_database() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let enrolment = app.post(&ada, PATH, &json!({ "password": PASSWORD })).await.expect(200);
    let secret = Secret::try_from_base32(enrolment["secret"].as_str().unwrap()).unwrap();
    let rows = app.rows("select secret from totp").await;
    let stored: Vec<u8> = rows[0].try_get("", "secret").unwrap();
    assert_eq!(stored.len(), 24 + 20 + 16);
    assert!(!stored.windows(20).any(|part| part == secret.as_bytes()));
    app.stop().await;
}
