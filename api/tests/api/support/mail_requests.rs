//! The requests whose effect needs a link from a mail.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Mailbox, PASSWORD, TestAccount, TestApp, TestResponse, send, wait_until};

pub const NEW_PASSWORD: &str = "eight badgers hum";

/// Starts an API with a worker that can send mail.
pub async fn start_with_mail() -> (TestApp, Mailbox) {
    let mailbox = Mailbox::start().await;
    let mut app = TestApp::start_with(&mailbox.settings()).await;
    app.start_worker().await;
    (app, mailbox)
}

pub async fn post(app: &TestApp, path: &str, body: &Value) -> TestResponse {
    send(app.request(Method::POST, path).json(body)).await
}

pub async fn sign_up(app: &TestApp, email: &str, password: &str) -> TestResponse {
    let body = json!({ "email": email, "password": password, "displayName": "Ada" });
    post(app, "/api/v1/auth/sign-up", &body).await
}

pub async fn confirm_sign_up(app: &TestApp, token: &str, password: &str) -> TestResponse {
    post(app, "/api/v1/auth/sign-up/confirm", &json!({ "token": token, "password": password })).await
}

pub async fn request_password_reset(app: &TestApp, email: &str) -> TestResponse {
    post(app, "/api/v1/auth/password-reset", &json!({ "email": email })).await
}

pub async fn reset_password(app: &TestApp, token: &str, password: &str) -> TestResponse {
    post(app, "/api/v1/auth/password-reset/confirm", &json!({ "token": token, "newPassword": password })).await
}

pub async fn request_email_change(app: &TestApp, account: &TestAccount, email: &str, password: &str) -> TestResponse {
    app.post(account, "/api/v1/account/email", &json!({ "email": email, "password": password })).await
}

pub async fn confirm_email(app: &TestApp, token: &str) -> TestResponse {
    post(app, "/api/v1/auth/email/confirm", &json!({ "token": token })).await
}

/// Signs up, confirms by mail and logs in.
pub async fn create_confirmed_account(app: &TestApp, mailbox: &Mailbox, email: &str, name: &str) -> TestAccount {
    let body = json!({ "email": email, "password": PASSWORD, "displayName": name });
    post(app, "/api/v1/auth/sign-up", &body).await.expect(202);
    let mail = wait_until("the mail of the sign-up", async || {
        mailbox.mails().into_iter().find(|mail| mail.to == email && mail.subject == "Confirm your account")
    })
    .await;
    let account = confirm_sign_up(app, &mail.token(), PASSWORD).await.expect(201);
    app.log_in_as(account["id"].as_str().unwrap(), email).await
}

/// The actions of the activity log, in order.
pub async fn actions(app: &TestApp) -> Vec<String> {
    let rows = app.rows("select action from activity order by chain, seq").await;
    rows.iter().map(|row| row.try_get("", "action").unwrap()).collect()
}

/// Moves all mails a minute back, so that the same address can get another one.
pub async fn advance_a_minute(app: &TestApp) {
    app.sql("update mail set created_at = created_at - interval '1 minute'").await;
}
