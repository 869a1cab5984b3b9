use reqwest::Method;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::support::app::{Answer, PASSWORD, Person, TestApp, send, until};

const TOTP: &str = "/api/v1/account/totp";

/// A person's app.
pub struct Device(Totp);

impl Device {
    fn new(enrolment: &Value) -> Self {
        let secret = Secret::try_from_base32(enrolment["secret"].as_str().unwrap()).unwrap();
        Self(Builder::new().with_secret(secret).build().unwrap())
    }

    /// The code of the present step, or of one before or after it.
    pub fn code(&self, steps: i64) -> String {
        let now = nvisy_shared::clock::now().timestamp() + 30 * steps;
        self.0.generate(u64::try_from(now).unwrap()).to_string()
    }
}

pub async fn enrol(app: &TestApp, person: &Person) -> Device {
    Device::new(&app.post(person, TOTP, &json!({ "password": PASSWORD })).await.expect(200))
}

pub async fn confirm(app: &TestApp, person: &Person, code: &str) -> Answer {
    app.post(person, &format!("{TOTP}/confirm"), &json!({ "code": code })).await
}

async fn login(app: &TestApp, person: &Person, code: &str) -> Answer {
    let body = json!({ "email": person.email, "password": PASSWORD, "code": code });
    send(app.request(Method::POST, "/api/v1/auth/login").json(&body)).await
}

/// Makes used codes good again: the test need not wait half a minute for the next.
pub async fn forget_steps(app: &TestApp) {
    app.sql("update totp set last_step = 0, failures = 0").await;
}

#[actix_web::test]
async fn login_requires_a_confirmed_second_factor() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let other = app.again(&ada).await;
    app.post(&ada, TOTP, &json!({ "password": "not the password" })).await.problem(403, "wrong_password");
    confirm(&app, &ada, "123456").await.problem(409, "no_enrolment");
    let device = enrol(&app, &ada).await;
    // Not confirmed yet, so not asked for.
    app.login(&ada.email, PASSWORD).await.expect(200);
    confirm(&app, &ada, "not a code").await.problem(401, "wrong_code");
    let codes = confirm(&app, &ada, &device.code(0)).await.expect(200);
    assert_eq!(codes["recoveryCodes"].as_array().unwrap().len(), 10);
    assert_eq!(app.get(&ada, TOTP).await.expect(200), json!({ "active": true, "recoveryCodes": 10 }));
    app.post(&ada, TOTP, &json!({ "password": PASSWORD })).await.problem(409, "second_factor_active");
    app.get(&other, "/api/v1/account").await.problem(401, "unauthenticated");

    forget_steps(&app).await;
    app.login(&ada.email, PASSWORD).await.problem(401, "second_factor_needed");
    app.login(&ada.email, "not the password").await.problem(401, "wrong_credentials");
    login(&app, &ada, "000000x").await.problem(401, "wrong_code");
    login(&app, &ada, &device.code(0)).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn code_is_accepted_once() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let device = enrol(&app, &ada).await;
    let first = device.code(0);
    confirm(&app, &ada, &first).await.expect(200);
    login(&app, &ada, &first).await.problem(401, "wrong_code");
    let next = device.code(1);
    login(&app, &ada, &next).await.expect(200);
    login(&app, &ada, &next).await.problem(401, "wrong_code");
    // An older one does not count after a newer one.
    login(&app, &ada, &first).await.problem(401, "wrong_code");
    // Far from now, none counts.
    forget_steps(&app).await;
    login(&app, &ada, &device.code(4)).await.problem(401, "wrong_code");
    app.stop().await;
}

#[actix_web::test]
async fn wrong_codes_are_throttled_with_doubling_waits() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let device = enrol(&app, &ada).await;
    confirm(&app, &ada, &device.code(0)).await.expect(200);
    forget_steps(&app).await;
    for _ in 0..5 {
        login(&app, &ada, "not a code").await.problem(401, "wrong_code");
    }
    let right = login(&app, &ada, &device.code(0)).await;
    assert!((1..=60).contains(&right.header("retry-after").parse::<u32>().unwrap()), "{:?}", right.headers);
    right.problem(429, "too_many_codes");
    // Each wait is twice the one before.
    let later = async |seconds: u32| {
        app.sql(&format!("update totp set failed_at = failed_at - interval '{seconds} seconds'")).await;
    };
    later(61).await;
    login(&app, &ada, "not a code").await.problem(401, "wrong_code");
    later(61).await;
    login(&app, &ada, &device.code(0)).await.problem(429, "too_many_codes");
    later(60).await;
    login(&app, &ada, &device.code(0)).await.expect(200);
    assert_eq!(app.rows("select from totp where failures = 0").await.len(), 1);
    app.stop().await;
}

#[actix_web::test]
async fn recovery_code_is_accepted_while_codes_are_throttled() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let device = enrol(&app, &ada).await;
    let codes = confirm(&app, &ada, &device.code(0)).await.expect(200)["recoveryCodes"].take();
    for _ in 0..5 {
        login(&app, &ada, "not a code").await.problem(401, "wrong_code");
    }
    login(&app, &ada, &device.code(1)).await.problem(429, "too_many_codes");
    login(&app, &ada, "abcd-efgh-jkmn-pqrs").await.problem(429, "too_many_codes");
    login(&app, &ada, codes[0].as_str().unwrap()).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn rejected_logins_are_recorded_with_their_reason() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let device = enrol(&app, &ada).await;
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
    confirm(&app, &ada, &device.code(0)).await.expect(200);
    forget_steps(&app).await;
    app.login(&ada.email, PASSWORD).await.problem(401, "second_factor_needed");
    login(&app, &ada, &device.code(0)).await.expect(200);
    assert_eq!(reasons().await, ["account.code_refused"]);
    // Some are written by the request that was refused, others after it.
    let written = async |entries| {
        until("an entry", async || (reasons().await.len() == entries).then_some(())).await;
    };
    login(&app, &ada, "not a code").await.problem(401, "wrong_code");
    app.login(&ada.email, "not the password").await.problem(401, "wrong_credentials");
    written(3).await;
    app.post(&ada, &format!("{TOTP}/disable"), &json!({ "password": "no", "code": "123456" }))
        .await
        .problem(403, "wrong_password");
    written(4).await;
    app.post(&ada, &format!("{TOTP}/disable"), &json!({ "password": PASSWORD, "code": "123456" }))
        .await
        .problem(401, "wrong_code");
    app.sql("update account set state = 'suspended'").await;
    app.login(&ada.email, PASSWORD).await.problem(403, "account_suspended");
    written(6).await;
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
    let ada = app.person("ada").await;
    let device = enrol(&app, &ada).await;
    let codes = confirm(&app, &ada, &device.code(0)).await.expect(200)["recoveryCodes"].take();
    let code = |n: usize| codes[n].as_str().unwrap().to_owned();
    let stored = app.rows("select string_agg(encode(hash, 'escape'), ' ') as hashes from recovery_code").await;
    assert!(!stored[0].try_get::<String>("", "hashes").unwrap().contains(&code(0)));
    login(&app, &ada, &code(0).to_uppercase()).await.expect(200);
    login(&app, &ada, &code(0)).await.problem(401, "wrong_code");
    assert_eq!(app.get(&ada, TOTP).await.expect(200)["recoveryCodes"], 9);

    let body = json!({ "password": PASSWORD, "code": code(1) });
    let new = app.post(&ada, &format!("{TOTP}/recovery-codes"), &body).await.expect(200)["recoveryCodes"].take();
    login(&app, &ada, &code(2)).await.problem(401, "wrong_code");
    login(&app, &ada, new[0].as_str().unwrap()).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn disabling_requires_both_factors() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let disable = async |password: &str, code: &str| {
        app.post(&ada, &format!("{TOTP}/disable"), &json!({ "password": password, "code": code })).await
    };
    disable(PASSWORD, "123456").await.problem(409, "no_second_factor");
    let device = enrol(&app, &ada).await;
    confirm(&app, &ada, &device.code(0)).await.expect(200);
    forget_steps(&app).await;
    disable("not the password", &device.code(0)).await.problem(403, "wrong_password");
    disable(PASSWORD, "not a code").await.problem(401, "wrong_code");
    assert_eq!(disable(PASSWORD, &device.code(0)).await.status, 204);
    assert_eq!(app.get(&ada, TOTP).await.expect(200), json!({ "active": false, "recoveryCodes": 0 }));
    app.login(&ada.email, PASSWORD).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn secret_is_encrypted_in_the_database() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let enrolment = app.post(&ada, TOTP, &json!({ "password": PASSWORD })).await.expect(200);
    let secret = Secret::try_from_base32(enrolment["secret"].as_str().unwrap()).unwrap();
    let rows = app.rows("select secret from totp").await;
    let stored: Vec<u8> = rows[0].try_get("", "secret").unwrap();
    assert_eq!(stored.len(), 24 + 20 + 16);
    assert!(!stored.windows(20).any(|part| part == secret.as_bytes()));
    app.stop().await;
}
