//! Sending of mails: throttling, retries, notifications.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    PASSWORD, TestAccount, TestApp, free_port,
    mail_requests::{
        NEW_PASSWORD, create_confirmed_account, post, request_password_reset, reset_password, sign_up, start_with_mail,
    },
    second_factor, send, wait_until,
};

#[actix_web::test]
async fn links_expire_and_mails_per_address_are_throttled() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    request_password_reset(&app, &ada.email).await.expect(202);
    let token = mailbox.mail(1).await.token();
    for _ in 0..5 {
        request_password_reset(&app, &ada.email).await.expect(202);
    }
    app.wait_until_no_jobs_are_left().await;
    assert_eq!(mailbox.mails().len(), 2);
    // Other kinds of mail are throttled as well.
    for _ in 0..3 {
        sign_up(&app, "bob@example.org", PASSWORD).await.expect(202);
        sign_up(&app, &ada.email, PASSWORD).await.expect(202);
        app.post(&ada, "/api/v1/account/email/verification", &json!({})).await.expect(202);
        let body = json!({ "email": "new@example.org", "password": PASSWORD });
        app.post(&ada, "/api/v1/account/email", &body).await.expect(202);
        app.wait_until_no_jobs_are_left().await;
        assert_eq!(mailbox.mails().len(), 6);
    }
    app.sql("update mail set expires_at = now()").await;
    reset_password(&app, &token, NEW_PASSWORD).await.problem(401, "link_refused");
    app.login(&ada.email, PASSWORD).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn repeated_request_sends_one_mail_and_confirms_once() {
    let (app, mailbox) = start_with_mail().await;
    let send_with_key = async |path: &str, account: Option<&TestAccount>, body: &Value| {
        let request = app.request(Method::POST, path).header("idempotency-key", "k1").json(body);
        send(account.into_iter().fold(request, |request, account| request.bearer_auth(&account.token))).await
    };
    sign_up(&app, "ada@example.org", PASSWORD).await.expect(202);
    let token = json!({ "token": mailbox.mail(0).await.token(), "password": PASSWORD });
    let account = send_with_key("/api/v1/auth/sign-up/confirm", None, &token).await.expect(201);
    let repeated = send_with_key("/api/v1/auth/sign-up/confirm", None, &token).await;
    assert_eq!(repeated.header("idempotency-replayed"), "true");
    assert_eq!(repeated.expect(201), account);
    let other = json!({ "token": "nvisy_mail_0", "password": PASSWORD });
    send_with_key("/api/v1/auth/sign-up/confirm", None, &other).await.problem(401, "link_refused");

    let ada = app.log_in_as(account["id"].as_str().unwrap(), "ada@example.org").await;
    let change = json!({ "email": "new@example.org", "password": PASSWORD });
    for (path, account, body) in [
        ("/api/v1/auth/password-reset", None, json!({ "email": "ada@example.org" })),
        ("/api/v1/account/email/verification", Some(&ada), json!({})),
        ("/api/v1/account/email", Some(&ada), change),
    ] {
        let before = app.count("mail").await;
        let first = send_with_key(path, account, &body).await.expect(202);
        assert_eq!(send_with_key(path, account, &body).await.expect(202), first, "{path}");
        assert_eq!(app.count("mail").await, before + 1, "{path}");
    }
    // The key without the password does not replay the response.
    let wrong = json!({ "email": "new@example.org", "password": "not the password" });
    send_with_key("/api/v1/account/email", Some(&ada), &wrong).await.problem(403, "wrong_password");
    app.wait_until_no_jobs_are_left().await;
    assert_eq!(mailbox.mails().len(), 4);
    app.stop().await;
}

#[actix_web::test]
async fn repeated_wrong_codes_notify_the_account() {
    let (app, mailbox) = start_with_mail().await;
    let ada = create_confirmed_account(&app, &mailbox, "ada@example.org", "Ada").await;
    let authenticator = second_factor::enrol(&app, &ada).await;
    app.post(&ada, "/api/v1/account/totp/confirm", &json!({ "code": authenticator.code(0) })).await.expect(200);
    let login = async || {
        let body = json!({ "email": ada.email, "password": PASSWORD, "code": "000000x" });
        post(&app, "/api/v1/auth/login", &body).await
    };
    for _ in 0..5 {
        login().await.problem(401, "wrong_code");
    }
    login().await.problem(429, "too_many_codes");
    let mail = mailbox.mail(1).await;
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("ada@example.org", "Wrong codes for your account"));
    assert!(!mail.text.contains("token"), "{mail:?}");
    app.sql("update totp set failed_at = failed_at - interval '61 seconds'").await;
    login().await.problem(401, "wrong_code");
    app.wait_until_no_jobs_are_left().await;
    assert_eq!(mailbox.mails().len(), 2);
    app.stop().await;
}

#[actix_web::test]
async fn mail_waits_for_an_unreachable_server() {
    let url = format!("smtp://127.0.0.1:{}", free_port());
    let settings = [
        ("NVISY_SMTP_URL", url.as_str()),
        ("NVISY_SMTP_FROM", "nvisy@example.org"),
        ("NVISY_SMTP_LINK_URL", "https://app.example.org"),
    ];
    let mut app = TestApp::start_with(&settings).await;
    sign_up(&app, "ada@example.org", PASSWORD).await.expect(202);
    app.start_worker().await;
    let error =
        "select last_error as error from job where last_error is not null and attempts = 0 and state = 'waiting'";
    let error = wait_until("the job has an error", async || app.rows(error).await.pop()).await;
    let error: String = error.try_get("", "error").unwrap();
    assert!(error.contains("mail server") && !error.contains("ada"), "{error}");
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn mail_operations_return_501_without_a_mail_server() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    request_password_reset(&app, "ada@example.org").await.problem(501, "mail_not_configured");
    let body = json!({ "email": "new@example.org", "password": PASSWORD });
    app.post(&ada, "/api/v1/account/email", &body).await.problem(501, "mail_not_configured");
    app.post(&ada, "/api/v1/account/email/verification", &json!({})).await.problem(501, "mail_not_configured");
    app.stop().await;
}
