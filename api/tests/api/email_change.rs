//! Changes and verification of the email address.

use serde_json::json;

use crate::support::{
    PASSWORD,
    mail_requests::{
        NEW_PASSWORD, actions, confirm_email, create_confirmed_account, request_email_change, reset_password,
        start_with_mail,
    },
};

#[actix_web::test]
async fn email_changes_after_the_new_address_is_confirmed() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    create_confirmed_account(&app, &mailbox, "bob@example.org", "Ada").await;
    let change = async |email: &str, password: &str| request_email_change(&app, &ada, email, password).await;
    change("new@example.org", "not the password").await.problem(403, "wrong_password");
    change("no address", PASSWORD).await.problem(422, "invalid_body");
    let taken = change("bob@example.org", PASSWORD).await;
    let free = change("New@example.org", PASSWORD).await;
    assert_eq!(taken.status, free.status);
    assert_eq!(taken.text.replace("bob", "new"), free.text);
    let mail = mailbox.mail(2).await;
    assert_eq!(mail.to, "new@example.org");
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["email"], "ada@example.org");
    // A link is valid only for its own purpose.
    reset_password(&app, &mail.token(), NEW_PASSWORD).await.problem(401, "link_refused");
    assert_eq!(confirm_email(&app, &mail.token()).await.status, 204);
    confirm_email(&app, &mail.token()).await.problem(401, "link_refused");
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["email"], "new@example.org");
    app.login("ada@example.org", PASSWORD).await.problem(401, "wrong_credentials");
    app.login("new@example.org", PASSWORD).await.expect(200);
    app.wait_until_no_jobs_are_left().await;
    // The former address is notified, because the owner may not have requested the change.
    let mails = mailbox.mails();
    assert_eq!(mails.len(), 4);
    assert_eq!(mails[3].to, "ada@example.org");
    assert_eq!(mails[3].subject, "Your account has another e-mail address");
    assert!(!mails[3].text.contains("token") && !mails[3].text.contains("new@"), "{:?}", mails[3]);
    let actions = actions(&app).await;
    assert_eq!(actions.iter().filter(|action| *action == "account.mail_asked").count(), 2);
    assert!(actions.contains(&"account.email_changed".to_owned()));
    app.stop().await;
}

#[actix_web::test]
async fn email_taken_before_confirmation_is_not_taken_over() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    request_email_change(&app, &ada, "new@example.org", PASSWORD).await.expect(202);
    let token = mailbox.mail(1).await.token();
    create_confirmed_account(&app, &mailbox, "new@example.org", "Ada").await;
    confirm_email(&app, &token).await.problem(401, "link_refused");
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["email"], "ada@example.org");
    app.stop().await;
}

#[actix_web::test]
async fn unverified_account_verifies_its_email() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    app.sql("update account set email_verified_at = null").await;
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["emailVerified"], false);
    app.post(&ada, "/api/v1/account/email/verification", &json!({})).await.expect(202);
    assert_eq!(confirm_email(&app, &mailbox.mail(1).await.token()).await.status, 204);
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["emailVerified"], true);
    let actions = actions(&app).await;
    assert!(actions.contains(&"account.mail_asked".to_owned()));
    assert!(actions.contains(&"account.email_verified".to_owned()));
    app.stop().await;
}

#[actix_web::test]
async fn invite_to_an_email_requires_a_verified_email() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    let bob = create_confirmed_account(&app, &mailbox, "bob@example.org", "Ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let body = json!({ "role": "guest", "email": bob.email });
    app.post(&ada, &format!("/api/v1/workspaces/{workspace}/invites"), &body).await.expect(201);
    let code = mailbox.mail(2).await.token();
    let accept = async || app.post(&bob, "/api/v1/invites/accept", &json!({ "code": code })).await;
    app.sql("update account set email_verified_at = null").await;
    accept().await.problem(403, "email_not_verified");
    app.sql("update account set email_verified_at = now()").await;
    accept().await.expect(200);
    app.stop().await;
}
