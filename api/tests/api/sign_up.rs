//! Who can sign up, and what rejections do not reveal.

use nvisy_api::cli::{AllowSignUpError, allow_sign_up, suspend};
use nvisy_shared::domain::account::AccountState;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Mailbox, PASSWORD, TestAccount, TestApp, TestResponse, send, wait_until};

const VALID_DAYS: u32 = 7;
const REJECTED: &str = "sign_up_refused";

impl TestApp {
    async fn sign_up_with_code(&self, email: &str, code: Option<&str>) -> TestResponse {
        self.sign_up_with_key(email, code, None).await
    }

    async fn sign_up_with_key(&self, email: &str, code: Option<&str>, key: Option<&str>) -> TestResponse {
        let body = json!({ "email": email, "password": PASSWORD, "displayName": "Ada", "inviteCode": code });
        let request = self.request(Method::POST, "/api/v1/auth/sign-up").json(&body);
        send(key.iter().fold(request, |request, key| request.header("idempotency-key", *key))).await
    }

    async fn operator_code(&self, email: &str) -> String {
        allow_sign_up(self.config(), email, VALID_DAYS).await.unwrap().expose().clone()
    }

    /// Signs up with an operator's code.
    async fn create_account_with_code(&self, email: &str) -> TestAccount {
        let code = self.operator_code(email).await;
        let id = self.sign_up_with_code(email, Some(&code)).await.expect(201)["id"].as_str().unwrap().to_owned();
        self.log_in_as(&id, email).await
    }

    async fn invite_code(&self, by: &TestAccount, workspace: &str, email: Option<&str>) -> Value {
        let body = json!({ "role": "member", "email": email });
        self.post(by, &format!("/api/v1/workspaces/{workspace}/invites"), &body).await.expect(201)
    }
}

/// The problem without its request id: rejections must not differ.
fn rejected(response: TestResponse) -> Value {
    response.anonymous_problem(403, REJECTED)
}

#[actix_web::test]
async fn sign_up_without_mail_requires_an_operators_code() {
    // The setting is not set.
    let app = TestApp::start_with(&[("NVISY_AUTH_SIGN_UP", "")]).await;
    let code = app.operator_code("ada@example.org").await;
    let unknown = rejected(app.sign_up_with_code("ada@example.org", None).await);
    for (email, wrong) in [
        ("ada@example.org", "x"),
        ("ada@example.org", "nvisy_invite_Zm9yIGV4YW1wbGUgb25seSwgYWNjZXB0cyBub3RoaW5n"),
        ("eve@example.org", &code),
    ] {
        assert_eq!(rejected(app.sign_up_with_code(email, Some(wrong)).await), unknown, "{email} {wrong}");
    }
    app.sign_up_with_code(" Ada@Example.ORG", Some(&code)).await.expect(201);
    let ada = app.login("ada@example.org", PASSWORD).await.expect(200);
    // The code is used up, and the rejection does not reveal the account.
    assert_eq!(rejected(app.sign_up_with_code("ada@example.org", Some(&code)).await), unknown);
    assert_eq!(rejected(app.sign_up_with_code("ada@example.org", None).await), unknown);
    assert_eq!(app.rows("select 1 as one from sign_up_permit").await.len(), 0);

    // An invite to a workspace does not allow a sign-up.
    let ada = TestAccount {
        id: String::new(),
        email: "ada@example.org".to_owned(),
        token: ada["accessToken"].as_str().unwrap().to_owned(),
        refresh_token: String::new(),
    };
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let invite = app.invite_code(&ada, &workspace, Some("bob@example.org")).await;
    assert_eq!(rejected(app.sign_up_with_code("bob@example.org", invite["code"].as_str()).await), unknown);
    app.stop().await;
}

#[actix_web::test]
async fn operators_code_is_replayed_with_its_request_and_replaced_by_the_next() {
    let app = TestApp::start_with(&[("NVISY_AUTH_SIGN_UP", "closed")]).await;
    let former = app.operator_code("ada@example.org").await;
    let code = app.operator_code("ada@example.org").await;
    app.sign_up_with_code("ada@example.org", Some(&former)).await.problem(403, REJECTED);
    // The response is replayed, although the code is used up.
    let first = app.sign_up_with_key("ada@example.org", Some(&code), Some("once")).await.expect(201);
    assert_eq!(app.sign_up_with_key("ada@example.org", Some(&code), Some("once")).await.expect(201), first);
    app.sign_up_with_key("ada@example.org", Some(&former), Some("once")).await.problem(422, "idempotency_key_reused");

    for (email, days) in [
        ("ada@example.org", VALID_DAYS),
        ("not an address", VALID_DAYS),
        ("bob@example.org", 0),
        ("bob@example.org", 31),
    ] {
        let error = allow_sign_up(app.config(), email, days).await.unwrap_err();
        let expected = matches!(
            (email, &error),
            ("ada@example.org", AllowSignUpError::Taken)
                | ("not an address", AllowSignUpError::InvalidAddress)
                | (_, AllowSignUpError::Days)
        );
        assert!(expected, "{email}: {error}");
    }
    app.operator_code("bob@example.org").await;
    app.sql("update sign_up_permit set expires_at = now()").await;
    app.sign_up_with_code("bob@example.org", Some(&code)).await.problem(403, REJECTED);
    let recorded =
        "select 1 as one from activity where action = 'sign_up_permit.created' and details like '%\"operator\"%'";
    assert_eq!(app.rows(recorded).await.len(), 3);
    app.stop().await;
}

#[actix_web::test]
async fn invited_email_signs_up_in_invited_mode() {
    let app = TestApp::start_with(&[("NVISY_AUTH_SIGN_UP", "invited")]).await;
    let ada = app.create_account_with_code("ada@example.org").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let bobs = app.invite_code(&ada, &workspace, Some("bob@example.org")).await;
    let open = app.invite_code(&ada, &workspace, None).await;
    let wrong = rejected(app.sign_up_with_code("bob@example.org", None).await);
    // An invite without an email does not allow a sign-up: its code would reveal which addresses have accounts.
    for (email, code) in [("bob@example.org", &open["code"]), ("eve@example.org", &bobs["code"])] {
        assert_eq!(rejected(app.sign_up_with_code(email, code.as_str()).await), wrong, "{email}");
    }
    // An invite is not valid while its creator is suspended.
    suspend(app.config(), &ada.email, AccountState::Suspended).await.unwrap();
    assert_eq!(rejected(app.sign_up_with_code("bob@example.org", bobs["code"].as_str()).await), wrong);
    suspend(app.config(), &ada.email, AccountState::Active).await.unwrap();

    app.sign_up_with_code("bob@example.org", bobs["code"].as_str()).await.expect(201);
    // A used code is rejected like a wrong one.
    assert_eq!(rejected(app.sign_up_with_code("bob@example.org", bobs["code"].as_str()).await), wrong);
    let bob = TestAccount { email: "bob@example.org".to_owned(), ..ada.clone() };
    let bob = app.new_session(&bob).await;
    let accepted = app.post(&bob, "/api/v1/invites/accept", &json!({ "code": bobs["code"] })).await.expect(200);
    assert_eq!(accepted["id"], workspace.as_str());

    let cancelled = app.invite_code(&ada, &workspace, Some("carl@example.org")).await;
    let path = format!("/api/v1/workspaces/{workspace}/invites/{}", cancelled["id"].as_str().unwrap());
    assert_eq!(app.delete(&ada, &path).await.status, 204);
    assert_eq!(rejected(app.sign_up_with_code("carl@example.org", cancelled["code"].as_str()).await), wrong);
    let deleted = app.invite_code(&ada, &workspace, Some("dora@example.org")).await;
    assert_eq!(app.delete(&ada, &format!("/api/v1/workspaces/{workspace}")).await.status, 204);
    assert_eq!(rejected(app.sign_up_with_code("dora@example.org", deleted["code"].as_str()).await), wrong);
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn sign_up_with_a_code_still_requires_mail_confirmation() {
    let mailbox = Mailbox::start().await;
    let mut settings = mailbox.settings().to_vec();
    settings.push(("NVISY_AUTH_SIGN_UP", "invited"));
    let mut app = TestApp::start_with(&settings).await;
    app.start_worker().await;
    let sign_up_confirmed = async |email: &str, code: &str| {
        app.sign_up_with_code(email, Some(code)).await.expect(202);
        let mail =
            wait_until("the mail has arrived", async || mailbox.mails().into_iter().find(|mail| mail.to == email))
                .await;
        let body = json!({ "token": mail.token(), "password": PASSWORD });
        send(app.request(Method::POST, "/api/v1/auth/sign-up/confirm").json(&body)).await.expect(201);
        let account = TestAccount {
            email: email.to_owned(),
            id: String::new(),
            token: String::new(),
            refresh_token: String::new(),
        };
        app.new_session(&account).await
    };
    let ada = sign_up_confirmed("ada@example.org", &app.operator_code("ada@example.org").await).await;
    assert_eq!(app.rows("select 1 as one from sign_up_permit").await.len(), 0);
    let wrong = rejected(app.sign_up_with_code("nobody@example.org", Some("x")).await);
    assert_eq!(rejected(app.sign_up_with_code("ada@example.org", Some("x")).await), wrong);

    // The invite mail has the code; a second mail confirms the address.
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let made = app.invite_code(&ada, &workspace, Some("bob@example.org")).await;
    assert_eq!(made["mailed"], true);
    let mail = wait_until("the invite has arrived", async || {
        mailbox.mails().into_iter().find(|mail| mail.to == "bob@example.org")
    })
    .await;
    app.sign_up_with_code("bob@example.org", Some(&mail.token())).await.expect(202);
    let second = wait_until("the second mail has arrived", async || {
        mailbox.mails().into_iter().find(|mail| mail.to == "bob@example.org" && mail.subject == "Confirm your account")
    });
    let body = json!({ "token": second.await.token(), "password": PASSWORD });
    send(app.request(Method::POST, "/api/v1/auth/sign-up/confirm").json(&body)).await.expect(201);
    app.stop().await;
}
