//! Confirmation of sign-ups by mail.

use serde_json::json;

use crate::support::{
    Mailbox, PASSWORD, TestApp,
    mail_requests::{
        NEW_PASSWORD, actions, advance_a_minute, confirm_sign_up, create_confirmed_account, post, sign_up,
        start_with_mail,
    },
    wait_until,
};

#[actix_web::test]
async fn sign_up_is_confirmed_by_mail() {
    let (app, mailbox) = start_with_mail().await;
    assert_eq!(sign_up(&app, " Ada@Example.ORG ", PASSWORD).await.expect(202), json!({ "email": "ada@example.org" }));
    app.login("ada@example.org", PASSWORD).await.problem(401, "wrong_credentials");
    app.wait_for_failed_logins(1).await;
    let mail = mailbox.mail(0).await;
    assert_eq!(mail.to, "ada@example.org");
    assert!(mail.text.contains("https://app.example.org/sign-up#token=nvisy_mail_"), "{mail:?}");
    let account = confirm_sign_up(&app, &mail.token(), PASSWORD).await.expect(201);
    assert_eq!(account["emailVerified"], true);
    confirm_sign_up(&app, &mail.token(), PASSWORD).await.problem(401, "link_refused");
    app.login("ada@example.org", PASSWORD).await.expect(200);
    assert_eq!(actions(&app).await, ["session.refused", "account.signed_up", "session.started"]);
    app.stop().await;
}

#[actix_web::test]
async fn sign_up_does_not_reveal_existing_accounts() {
    let (app, mailbox) = start_with_mail().await;
    create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    let taken = sign_up(&app, "ada@example.org", NEW_PASSWORD).await;
    let free = sign_up(&app, "bob@example.org", NEW_PASSWORD).await;
    assert_eq!(taken.status, free.status);
    assert_eq!(taken.text.replace("ada", "bob"), free.text);
    // The password is rejected for both, so that a login does not reveal the account either.
    for email in ["ada@example.org", "bob@example.org"] {
        app.login(email, NEW_PASSWORD).await.problem(401, "wrong_credentials");
    }
    app.wait_until_no_jobs_are_left().await;
    let mails = mailbox.mails();
    let to = |email: &str| mails.iter().rfind(|mail| mail.to == email).unwrap();
    assert_eq!(to("ada@example.org").subject, "You have an account already");
    assert!(!to("ada@example.org").text.contains("token"));
    assert_eq!(to("bob@example.org").subject, "Confirm your account");
    app.stop().await;
}

#[actix_web::test]
async fn sign_up_link_requires_the_password_of_its_own_request() {
    let (app, mailbox) = start_with_mail().await;
    sign_up(&app, "ada@example.org", NEW_PASSWORD).await.expect(202);
    let first = mailbox.mail(0).await.token();
    advance_a_minute(&app).await;
    sign_up(&app, "ada@example.org", PASSWORD).await.expect(202);
    let second = mailbox.mail(1).await.token();
    // Each link creates an account only with the password of its own request.
    confirm_sign_up(&app, &first, PASSWORD).await.problem(401, "link_refused");
    confirm_sign_up(&app, &second, PASSWORD).await.expect(201);
    confirm_sign_up(&app, &first, NEW_PASSWORD).await.problem(401, "link_refused");
    app.login("ada@example.org", NEW_PASSWORD).await.problem(401, "wrong_credentials");
    app.login("ada@example.org", PASSWORD).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn sign_up_link_without_the_password_creates_no_account() {
    let mailbox = Mailbox::start().await;
    let settings: Vec<_> = mailbox.settings().into_iter().chain([("NVISY_LIMIT_NAME_MINUTE", "20")]).collect();
    let mut app = TestApp::start_with(&settings).await;
    app.start_worker().await;
    sign_up(&app, "ada@example.org", NEW_PASSWORD).await.expect(202);
    let token = mailbox.mail(0).await.token();
    post(&app, "/api/v1/auth/sign-up/confirm", &json!({ "token": token })).await.problem(422, "invalid_body");
    // Rejected like an unknown link; the link remains valid.
    let wrong = confirm_sign_up(&app, &token, PASSWORD).await.anonymous_problem(401, "link_refused");
    let unknown = confirm_sign_up(&app, "nvisy_mail_0", PASSWORD).await.anonymous_problem(401, "link_refused");
    assert_eq!(wrong, unknown);
    assert_eq!(app.count("account").await, 0);
    let throttled = wait_until("confirmations are throttled", async || {
        Some(confirm_sign_up(&app, &token, PASSWORD).await).filter(|response| response.status == 429)
    });
    throttled.await.problem(429, "too_many_requests");
    wait_until("the link is accepted", async || {
        (confirm_sign_up(&app, &token, NEW_PASSWORD).await.status == 201).then_some(())
    })
    .await;
    app.stop().await;
}
