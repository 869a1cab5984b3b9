//! A second factor as an authenticator application has it.

use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use super::{PASSWORD, TestAccount, TestApp, TestResponse};

pub const PATH: &str = "/api/v1/account/totp";

const STEP_SECONDS: i64 = 30;

pub struct Authenticator(Totp);

impl Authenticator {
    fn new(enrolment: &Value) -> Self {
        let secret = Secret::try_from_base32(enrolment["secret"].as_str().unwrap()).unwrap();
        Self(Builder::new().with_secret(secret).build().unwrap())
    }

    /// The code of the current step, or of so many steps later.
    pub fn code(&self, steps: i64) -> String {
        let time = nvisy_shared::clock::now().timestamp() + STEP_SECONDS * steps;
        self.0.generate(u64::try_from(time).unwrap()).to_string()
    }
}

pub async fn enrol(app: &TestApp, account: &TestAccount) -> Authenticator {
    Authenticator::new(&app.post(account, PATH, &json!({ "password": PASSWORD })).await.expect(200))
}

pub async fn confirm(app: &TestApp, account: &TestAccount, code: &str) -> TestResponse {
    app.post(account, &format!("{PATH}/confirm"), &json!({ "code": code })).await
}

/// Makes used codes valid again, so that a test need not wait for the next step.
pub async fn allow_reuse(app: &TestApp) {
    app.sql("update totp set last_step = 0, failures = 0").await;
}
