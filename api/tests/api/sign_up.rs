//! Who may sign up, and what nobody learns from trying.

use nvisy_api::command::{AdmitError, admit, suspend};
use nvisy_shared::domain::account::AccountState;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    support::app::{Answer, PASSWORD, Person, TestApp, send, until},
    support::mailbox::Mailbox,
};

const DAYS: u32 = 7;
const REFUSED: &str = "sign_up_refused";

impl TestApp {
    async fn sign_up_with(&self, email: &str, code: Option<&str>) -> Answer {
        self.sign_up_again(email, code, None).await
    }

    async fn sign_up_again(&self, email: &str, code: Option<&str>, key: Option<&str>) -> Answer {
        let body = json!({ "email": email, "password": PASSWORD, "displayName": "Somebody", "inviteCode": code });
        let request = self.request(Method::POST, "/api/v1/auth/sign-up").json(&body);
        send(key.iter().fold(request, |request, key| request.header("idempotency-key", *key))).await
    }

    async fn admitted(&self, email: &str) -> String {
        admit(self.config(), email, DAYS).await.unwrap().expose().clone()
    }

    /// Somebody whom an operator has let in.
    async fn let_in(&self, email: &str) -> Person {
        let code = self.admitted(email).await;
        let id = self.sign_up_with(email, Some(&code)).await.expect(201)["id"].as_str().unwrap().to_owned();
        let person = Person { id, email: email.to_owned(), token: String::new(), refresh: String::new() };
        self.again(&person).await
    }

    async fn invite_code(&self, by: &Person, workspace: &str, email: Option<&str>) -> Value {
        let body = json!({ "role": "member", "email": email });
        self.post(by, &format!("/api/v1/workspaces/{workspace}/invites"), &body).await.expect(201)
    }
}

/// What is left of a refusal when its own names are taken out: two of them are to be alike.
fn anonymous(answer: Answer) -> Value {
    let mut body = answer.problem(403, REFUSED);
    assert!(body["requestId"].take().is_string());
    body
}

#[actix_web::test]
async fn sign_up_without_mail_requires_an_operators_code() {
    // Unset.
    let app = TestApp::start_with(&[("NVISY_AUTH_SIGN_UP", "")]).await;
    let code = app.admitted("ada@example.org").await;
    let unknown = anonymous(app.sign_up_with("ada@example.org", None).await);
    for (email, wrong) in [
        ("ada@example.org", "x"),
        ("ada@example.org", ""),
        ("ada@example.org", "nvisy_invite_Zm9yIGV4YW1wbGUgb25seSwgYWNjZXB0cyBub3RoaW5n"),
        ("eve@example.org", &code),
    ] {
        assert_eq!(anonymous(app.sign_up_with(email, Some(wrong)).await), unknown, "{email} {wrong}");
    }
    app.sign_up_with(" Ada@Example.ORG", Some(&code)).await.expect(201);
    let ada = app.login("ada@example.org", PASSWORD).await.expect(200);
    // It is used up, and tells nobody that there is an account now.
    assert_eq!(anonymous(app.sign_up_with("ada@example.org", Some(&code)).await), unknown);
    assert_eq!(anonymous(app.sign_up_with("ada@example.org", None).await), unknown);
    assert_eq!(app.rows("select 1 as one from admission").await.len(), 0);

    // A workspace's invite is no operator's word.
    let ada = Person {
        id: String::new(),
        email: "ada@example.org".to_owned(),
        token: ada["accessToken"].as_str().unwrap().to_owned(),
        refresh: String::new(),
    };
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let invite = app.invite_code(&ada, &workspace, Some("bob@example.org")).await;
    assert_eq!(anonymous(app.sign_up_with("bob@example.org", invite["code"].as_str()).await), unknown);
    app.stop().await;
}

#[actix_web::test]
async fn operators_code_is_replayed_with_its_request_and_replaced_by_the_next() {
    let app = TestApp::start_with(&[("NVISY_AUTH_SIGN_UP", "closed")]).await;
    let former = app.admitted("ada@example.org").await;
    let code = app.admitted("ada@example.org").await;
    app.sign_up_with("ada@example.org", Some(&former)).await.problem(403, REFUSED);
    // An answer that was lost is given again, although the code is used up.
    let first = app.sign_up_again("ada@example.org", Some(&code), Some("once")).await.expect(201);
    assert_eq!(app.sign_up_again("ada@example.org", Some(&code), Some("once")).await.expect(201), first);
    app.sign_up_again("ada@example.org", Some(&former), Some("once")).await.problem(422, "idempotency_key_reused");

    for (email, days) in
        [("ada@example.org", DAYS), ("not an address", DAYS), ("bob@example.org", 0), ("bob@example.org", 31)]
    {
        let refused = admit(app.config(), email, days).await.unwrap_err();
        let told = matches!(
            (email, &refused),
            ("ada@example.org", AdmitError::Taken) | ("not an address", AdmitError::NoAddress) | (_, AdmitError::Days)
        );
        assert!(told, "{email}: {refused}");
    }
    app.admitted("bob@example.org").await;
    app.sql("update admission set expires_at = now()").await;
    app.sign_up_with("bob@example.org", Some(&code)).await.problem(403, REFUSED);
    let noted = "select 1 as one from activity where action = 'admission.created' and details like '%\"operator\"%'";
    assert_eq!(app.rows(noted).await.len(), 3);
    app.stop().await;
}

#[actix_web::test]
async fn invited_email_signs_up_in_invited_mode() {
    let app = TestApp::start_with(&[("NVISY_AUTH_SIGN_UP", "invited")]).await;
    let ada = app.let_in("ada@example.org").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let bobs = app.invite_code(&ada, &workspace, Some("bob@example.org")).await;
    let anybodys = app.invite_code(&ada, &workspace, None).await;
    let wrong = anonymous(app.sign_up_with("bob@example.org", None).await);
    // An invite to nobody in particular admits nobody: whoever has it could try one address after the other.
    for (email, code) in [("bob@example.org", &anybodys["code"]), ("eve@example.org", &bobs["code"])] {
        assert_eq!(anonymous(app.sign_up_with(email, code.as_str()).await), wrong, "{email}");
    }
    // Nor while whoever invited is suspended.
    suspend(app.config(), &ada.email, AccountState::Suspended).await.unwrap();
    assert_eq!(anonymous(app.sign_up_with("bob@example.org", bobs["code"].as_str()).await), wrong);
    suspend(app.config(), &ada.email, AccountState::Active).await.unwrap();

    app.sign_up_with("bob@example.org", bobs["code"].as_str()).await.expect(201);
    // Answered like a wrong code, although it is a right one.
    assert_eq!(anonymous(app.sign_up_with("bob@example.org", bobs["code"].as_str()).await), wrong);
    let bob = Person { email: "bob@example.org".to_owned(), ..ada.clone() };
    let bob = app.again(&bob).await;
    let accepted = app.post(&bob, "/api/v1/invites/accept", &json!({ "code": bobs["code"] })).await.expect(200);
    assert_eq!(accepted["id"], workspace.as_str());

    let cancelled = app.invite_code(&ada, &workspace, Some("carl@example.org")).await;
    let path = format!("/api/v1/workspaces/{workspace}/invites/{}", cancelled["id"].as_str().unwrap());
    assert_eq!(app.delete(&ada, &path).await.status, 204);
    assert_eq!(anonymous(app.sign_up_with("carl@example.org", cancelled["code"].as_str()).await), wrong);
    let deleted = app.invite_code(&ada, &workspace, Some("dora@example.org")).await;
    assert_eq!(app.delete(&ada, &format!("/api/v1/workspaces/{workspace}")).await.status, 204);
    assert_eq!(anonymous(app.sign_up_with("dora@example.org", deleted["code"].as_str()).await), wrong);
    app.stop_with_jobs().await;
}

#[actix_web::test]
async fn sign_up_with_a_code_still_requires_mail_confirmation() {
    let mailbox = Mailbox::start().await;
    let mut settings = mailbox.settings().to_vec();
    settings.push(("NVISY_AUTH_SIGN_UP", "invited"));
    let mut app = TestApp::start_with(&settings).await;
    app.start_worker().await;
    let confirmed = async |email: &str, code: &str| {
        app.sign_up_with(email, Some(code)).await.expect(202);
        let mail = until("the mail", async || mailbox.mails().into_iter().find(|mail| mail.to == email)).await;
        let body = json!({ "token": mail.token(), "password": PASSWORD });
        send(app.request(Method::POST, "/api/v1/auth/sign-up/confirm").json(&body)).await.expect(201);
        let person =
            Person { email: email.to_owned(), id: String::new(), token: String::new(), refresh: String::new() };
        app.again(&person).await
    };
    let ada = confirmed("ada@example.org", &app.admitted("ada@example.org").await).await;
    assert_eq!(app.rows("select 1 as one from admission").await.len(), 0);
    let wrong = anonymous(app.sign_up_with("nobody@example.org", Some("x")).await);
    assert_eq!(anonymous(app.sign_up_with("ada@example.org", Some("x")).await), wrong);

    // The invite's own letter brings the code; a second one proves the mailbox.
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let made = app.invite_code(&ada, &workspace, Some("bob@example.org")).await;
    assert_eq!(made["mailed"], true);
    let letter =
        until("the invite", async || mailbox.mails().into_iter().find(|mail| mail.to == "bob@example.org")).await;
    app.sign_up_with("bob@example.org", Some(&letter.token())).await.expect(202);
    let second = until("the second letter", async || {
        mailbox.mails().into_iter().find(|mail| mail.to == "bob@example.org" && mail.subject == "Confirm your account")
    });
    let body = json!({ "token": second.await.token(), "password": PASSWORD });
    send(app.request(Method::POST, "/api/v1/auth/sign-up/confirm").json(&body)).await.expect(201);
    app.stop().await;
}
