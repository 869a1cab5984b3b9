//! Invites by mail: the message, and what it does not reveal.

use nvisy_api::cli::suspend;
use nvisy_shared::domain::account::AccountState;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Mail, Mailbox, TestAccount, TestApp, TestResponse,
    mail_requests::{create_confirmed_account, start_with_mail},
    send, wait_until,
};

impl TestApp {
    async fn mail_invite(&self, by: &TestAccount, workspace: &str, body: &Value) -> TestResponse {
        self.post(by, &format!("/api/v1/workspaces/{workspace}/invites"), body).await
    }
}

/// The received invites.
fn invites(mailbox: &Mailbox) -> Vec<Mail> {
    mailbox.mails().into_iter().filter(|mail| mail.subject == "You are invited to a workspace").collect()
}

#[actix_web::test]
async fn invite_mail_is_the_same_for_known_and_unknown_emails() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    let bob = create_confirmed_account(&app, &mailbox, "bob@example.org", "Bob").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let invite = async |email: &str| {
        let mut invite =
            app.mail_invite(&ada, &workspace, &json!({ "role": "member", "email": email })).await.expect(201);
        assert_eq!((invite["mailed"].as_bool(), invite.get("code")), (Some(true), None), "{invite}");
        for field in ["id", "createdAt", "expiresAt", "email"] {
            assert!(invite[field].take().is_string());
        }
        invite
    };
    assert_eq!(invite("bob@example.org").await, invite("nobody@example.org").await);
    let mails =
        wait_until("two invites have arrived", async || Some(invites(&mailbox)).filter(|mails| mails.len() == 2)).await;
    let to = |email: &str| mails.iter().find(|mail| mail.to == email).unwrap();
    let without_code_and_time = |email: &str| {
        let text = to(email).text.replace(&to(email).token(), "CODE");
        let (before, rest) = text.split_once(" until ").unwrap();
        let (time, after) = rest.split_once(" UTC").unwrap();
        assert_eq!(time.len(), "2026-11-30 12:10".len());
        format!("{before}{after}")
    };
    assert_eq!(without_code_and_time("bob@example.org"), without_code_and_time("nobody@example.org"));
    let mail = to("bob@example.org");
    assert!(
        mail.text.contains("\"Ada\" invites you to the workspace \"Tidal energy\", with the role member"),
        "{mail:?}"
    );
    assert!(mail.text.contains("https://app.example.org/invite#token=nvisy_invite_"), "{mail:?}");

    // The code of the mail is not stored in the database.
    let stored =
        "select concat((select string_agg(m::text, ' ') from mail m), (select string_agg(i::text, ' ') from invite i),
        (select string_agg(j::text, ' ') from job j)) as all";
    let stored: String = app.rows(stored).await[0].try_get("", "all").unwrap();
    assert!(stored.contains("bob@example.org") && !stored.contains(&mail.token()[13..]), "{stored}");
    let accept = json!({ "code": mail.token() });
    app.post(&ada, "/api/v1/invites/accept", &accept).await.problem(404, "not_found");
    assert_eq!(app.post(&bob, "/api/v1/invites/accept", &accept).await.expect(200)["role"], "member");
    app.post(&bob, "/api/v1/invites/accept", &accept).await.problem(404, "not_found");

    let page =
        app.get(&ada, &format!("/api/v1/workspaces/{workspace}/activities?type=invite.created")).await.expect(200);
    assert_eq!(page["items"][0]["details"], json!({ "role": "member", "byEmail": true, "mailed": true }));
    // An invite without an email address is not mailed.
    let open = app.mail_invite(&ada, &workspace, &json!({ "role": "guest" })).await.expect(201);
    assert_eq!((open["mailed"].as_bool(), open["code"].is_string()), (Some(false), true));
    app.wait_until_no_jobs_are_left().await;
    assert_eq!(invites(&mailbox).len(), 2);
    app.stop().await;
}

#[actix_web::test]
async fn names_cannot_inject_mail_headers() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    let injected = "Tide\r\nBcc: eve@example.org\r\n\r\nPay now";
    app.post(&ada, "/api/v1/workspaces", &json!({ "name": injected })).await.problem(422, "invalid_body");
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let invite = json!({ "role": "guest", "email": "bob@example.org\r\nBcc: eve@example.org" });
    app.mail_invite(&ada, &workspace, &invite).await.problem(422, "invalid_body");
    // Names that bypassed validation.
    app.sql(&format!(
        "update workspace set name = E'Tide\\r\\nBcc: eve@example.org\\r\\n\\r\\nPay now' where id = '{workspace}'"
    ))
    .await;
    app.sql("update account set display_name = E'Ada\\nSubject: Hello'").await;
    app.mail_invite(&ada, &workspace, &json!({ "role": "guest", "email": "bob@example.org" })).await.expect(201);
    let mail = wait_until("the invite has arrived", async || invites(&mailbox).pop()).await;
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("bob@example.org", "You are invited to a workspace"));
    assert!(!mail.head.contains("eve@") && !mail.head.contains("Hello"), "{}", mail.head);
    let first = mail.text.lines().next().unwrap();
    assert!(first.contains("\"Ada Subject: Hello\"") && first.contains("Pay now\", with the role"), "{}", mail.text);
    app.stop().await;
}

#[actix_web::test]
async fn cancelled_invite_is_not_mailed_and_invite_mails_are_throttled() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let body = json!({ "role": "guest", "email": "bob@example.org" });
    let first = app.mail_invite(&ada, &workspace, &body).await.expect(201);
    wait_until("the invite has arrived", async || invites(&mailbox).pop()).await;
    let cancel = format!("/api/v1/workspaces/{workspace}/invites/{}", first["id"].as_str().unwrap());
    assert_eq!(app.delete(&ada, &cancel).await.status, 204);

    // The next invite for that address waits.
    let second = app.mail_invite(&ada, &workspace, &body).await.expect(201);
    let waiting = "select attempts from job where kind = 'mail.send' and state = 'waiting' and run_at > now() + interval '30 seconds'";
    let waiting = wait_until("a mail waits", async || app.rows(waiting).await.pop()).await;
    assert_eq!(waiting.try_get::<i32>("", "attempts").unwrap(), 0);
    assert_eq!(invites(&mailbox).len(), 1);
    let cancel = format!("/api/v1/workspaces/{workspace}/invites/{}", second["id"].as_str().unwrap());
    assert_eq!(app.delete(&ada, &cancel).await.status, 204);
    app.sql("update mail set sent_at = sent_at - interval '1 hour'; update job set run_at = now()").await;
    app.wait_until_no_jobs_are_left().await;
    assert_eq!(invites(&mailbox).len(), 1);

    app.mail_invite(&ada, &workspace, &body).await.expect(201);
    wait_until("another invite has arrived", async || (invites(&mailbox).len() == 2).then_some(())).await;
    app.stop().await;
}

#[actix_web::test]
async fn invite_by_a_suspended_account_is_not_mailed() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    let [tidal, wind] = [app.create_workspace(&ada, "Tidal energy").await, app.create_workspace(&ada, "Wind").await];
    let body = json!({ "role": "guest", "email": "bob@example.org" });
    app.mail_invite(&ada, &tidal, &body).await.expect(201);
    wait_until("the invite has arrived", async || invites(&mailbox).pop()).await;
    app.mail_invite(&ada, &wind, &body).await.expect(201);
    let waiting =
        "select from job where kind = 'mail.send' and state = 'waiting' and run_at > now() + interval '30 seconds'";
    wait_until("a mail waits", async || app.rows(waiting).await.pop()).await;

    suspend(app.config(), &ada.id, AccountState::Suspended).await.unwrap();
    app.sql("update mail set sent_at = sent_at - interval '1 hour'; update job set run_at = now()").await;
    app.wait_until_no_jobs_are_left().await;
    assert_eq!(invites(&mailbox).len(), 1);
    assert_eq!(app.count("invite").await, 2);
    app.stop().await;
}

#[actix_web::test]
async fn repeated_invite_request_mails_once_and_hides_the_code() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let create = async || {
        let request = app.request(Method::POST, &format!("/api/v1/workspaces/{workspace}/invites"));
        let request = request.bearer_auth(&ada.token).header("idempotency-key", "k1");
        send(request.json(&json!({ "role": "guest", "email": "bob@example.org" }))).await
    };
    let first = create().await.expect(201);
    let again = create().await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(201), first);
    assert_eq!((first["mailed"].as_bool(), first.get("code")), (Some(true), None));
    app.wait_until_no_jobs_are_left().await;
    assert_eq!(invites(&mailbox).len(), 1);
    app.stop().await;
}
