//! Password resets by mail, and changes that invalidate links.

use serde_json::json;

use crate::support::{
    Mailbox, PASSWORD, TestApp,
    mail_requests::{
        NEW_PASSWORD, actions, advance_a_minute, confirm_email, create_confirmed_account, request_email_change,
        request_password_reset, reset_password, start_with_mail,
    },
};

#[actix_web::test]
async fn forgotten_password_is_reset_by_mail() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    let known = request_password_reset(&app, "ada@example.org").await;
    let unknown = request_password_reset(&app, "bob@example.org").await;
    assert_eq!(known.status, 202);
    assert_eq!(known.text.replace("ada", "bob"), unknown.text);
    let token = mailbox.mail(1).await.token();
    let stored = app.rows("select coalesce(string_agg(mail::text, ' '), '') as rows from mail").await;
    assert!(!stored[0].try_get::<String>("", "rows").unwrap().contains(&token));

    reset_password(&app, &token, "password123").await.problem(422, "invalid_body");
    reset_password(&app, &token, "ada@example.org").await.problem(422, "invalid_body");
    reset_password(&app, "nvisy_mail_0", NEW_PASSWORD).await.problem(401, "link_refused");
    assert_eq!(reset_password(&app, &token, NEW_PASSWORD).await.status, 204);
    reset_password(&app, &token, NEW_PASSWORD).await.problem(401, "link_refused");
    app.get(&ada, "/api/v1/account").await.problem(401, "unauthenticated");
    app.login(&ada.email, PASSWORD).await.problem(401, "wrong_credentials");
    app.login(&ada.email, NEW_PASSWORD).await.expect(200);
    app.wait_until_no_jobs_are_left().await;
    assert!(mailbox.mails().iter().all(|mail| mail.to == "ada@example.org"));
    let actions = actions(&app).await;
    // Only the request for a known email is recorded.
    assert_eq!(actions.iter().filter(|action| *action == "account.reset_asked").count(), 1);
    assert!(actions.contains(&"account.password_reset".to_owned()));
    app.stop().await;
}

/// Equal work, so that the duration of the request does not reveal whether the account exists.
#[actix_web::test]
async fn password_reset_request_writes_the_same_rows_for_unknown_emails() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start_with(&mailbox.settings()).await;
    app.sql(
        "insert into account (id, email, display_name, password_hash)
         values (gen_random_uuid(), 'ada@example.org', 'Ada', 'none')",
    )
    .await;
    request_password_reset(&app, "ada@example.org").await.expect(202);
    request_password_reset(&app, "bob@example.org").await.expect(202);
    let shape = "select kind, account_id is null as no_account, hash is null as not_sent, count(*) as mails from mail group by 1, 2, 3";
    let rows = app.rows(shape).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].try_get::<i64>("", "mails").unwrap(), 2);
    let jobs = app.rows("select payload::text as payload from job where kind = 'mail.send'").await;
    assert_eq!(jobs.len(), 2);
    for job in jobs {
        let payload: String = job.try_get("", "payload").unwrap();
        assert!(!payload.contains("example"), "{payload}");
    }
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn password_reset_revokes_api_tokens() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    let bob = create_confirmed_account(&app, &mailbox, "bob@example.org", "Ada").await;
    let [(token, _), (bobs, _)] = [app.api_token(&ada, &json!({})).await, app.api_token(&bob, &json!({})).await];
    let body = json!({ "currentPassword": PASSWORD, "newPassword": NEW_PASSWORD });
    assert_eq!(app.post(&ada, "/api/v1/account/password", &body).await.status, 204);
    // A password change keeps API tokens.
    app.get(&token, "/api/v1/account").await.expect(200);
    request_password_reset(&app, &ada.email).await.expect(202);
    assert_eq!(reset_password(&app, &mailbox.mail(2).await.token(), PASSWORD).await.status, 204);
    app.get(&token, "/api/v1/account").await.problem(401, "unauthenticated");
    app.get(&bobs, "/api/v1/account").await.expect(200);
    let of = format!("select from activity where action = 'token.revoked' and account_id = '{}'", ada.id);
    assert_eq!(app.rows(&of).await.len(), 1);
    app.stop().await;
}

/// An attacker who knew the password has requested a link to their own mailbox.
#[actix_web::test]
async fn password_change_invalidates_earlier_links() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    request_email_change(&app, &ada, "eve@example.org", PASSWORD).await.expect(202);
    let change = mailbox.mail(1).await.token();
    request_password_reset(&app, &ada.email).await.expect(202);
    let reset = mailbox.mail(2).await.token();
    let body = json!({ "currentPassword": PASSWORD, "newPassword": NEW_PASSWORD });
    assert_eq!(app.post(&ada, "/api/v1/account/password", &body).await.status, 204);
    confirm_email(&app, &change).await.problem(401, "link_refused");
    reset_password(&app, &reset, "nine weasels sing").await.problem(401, "link_refused");

    advance_a_minute(&app).await;
    request_email_change(&app, &ada, "eve@example.org", NEW_PASSWORD).await.expect(202);
    let change = mailbox.mail(3).await.token();
    request_password_reset(&app, &ada.email).await.expect(202);
    assert_eq!(reset_password(&app, &mailbox.mail(4).await.token(), PASSWORD).await.status, 204);
    confirm_email(&app, &change).await.problem(401, "link_refused");

    let ada = app.new_session(&ada).await;
    advance_a_minute(&app).await;
    request_email_change(&app, &ada, "eve@example.org", PASSWORD).await.expect(202);
    let change = mailbox.mail(5).await.token();
    app.post(&ada, "/api/v1/account/deletion", &json!({ "password": PASSWORD })).await.expect(202);
    confirm_email(&app, &change).await.problem(401, "link_refused");
    let ada = app.new_session(&ada).await;
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["email"], "ada@example.org");
    app.stop().await;
}

#[actix_web::test]
async fn logout_everywhere_invalidates_earlier_links() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    let bob = create_confirmed_account(&app, &mailbox, "bob@example.org", "Ada").await;
    request_email_change(&app, &ada, "eve@example.org", PASSWORD).await.expect(202);
    let change = mailbox.mail(2).await.token();
    request_password_reset(&app, &ada.email).await.expect(202);
    let reset = mailbox.mail(3).await.token();
    request_password_reset(&app, &bob.email).await.expect(202);
    let bobs = mailbox.mail(4).await.token();

    assert_eq!(app.delete(&ada, "/api/v1/account/sessions").await.status, 204);
    confirm_email(&app, &change).await.problem(401, "link_refused");
    reset_password(&app, &reset, NEW_PASSWORD).await.problem(401, "link_refused");
    let ada = app.new_session(&ada).await;
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["email"], "ada@example.org");
    // Links of other accounts remain valid.
    assert_eq!(reset_password(&app, &bobs, NEW_PASSWORD).await.status, 204);
    app.stop().await;
}
