//! Mail over TLS, from the first byte and by STARTTLS, to a real server with a certificate of its own making.

use reqwest::Method;
use serde_json::json;

use crate::{
    support::app::{PASSWORD, TestApp, send, until},
    support::mailbox::{Mailbox, Secured, certify, issue},
};

const MAIL_PASSWORD: &str = "p@ss:word";

fn url(mailbox: &Mailbox, secured: Secured) -> String {
    let address = mailbox.url.strip_prefix("smtp://").unwrap();
    match secured {
        Secured::Wrapped => format!("smtps://nvisy:p%40ss%3Aword@{address}"),
        Secured::StartTls | Secured::No => format!("smtp://nvisy:p%40ss%3Aword@{address}?tls=required"),
    }
}

/// An API and a worker that send there, and trust whom that authority vouches for.
async fn start(url: &str, authority: Option<&str>) -> TestApp {
    let mut settings = vec![
        ("NVISY_SMTP_URL", url),
        ("NVISY_SMTP_FROM", "Nvisy <nvisy@example.org>"),
        ("NVISY_SMTP_LINK_URL", "https://app.example.org/"),
    ];
    settings.extend(authority.map(|file| ("NVISY_SMTP_CA_FILE", file)));
    let mut app = TestApp::start_with(&settings).await;
    app.start_worker().await;
    app
}

async fn sign_up(app: &TestApp) {
    let body = json!({ "email": "ada@example.org", "password": PASSWORD, "displayName": "Ada" });
    send(app.request(Method::POST, "/api/v1/auth/sign-up").json(&body)).await.expect(202);
}

/// What an operator reads of why the mail waits, once it says this.
async fn waits(app: &TestApp, reason: &str) {
    let error = "select last_error as error from job where last_error is not null";
    let found = until(reason, async || {
        let error: String = app.rows(error).await.pop()?.try_get("", "error").unwrap();
        error.contains(reason).then_some(error)
    });
    let error = found.await;
    assert!(error.contains("the mail server cannot be used"), "{error}");
    assert!(!error.contains("ada@") && !error.contains("p@ss") && !error.contains("p%40ss"), "{error}");
}

#[actix_web::test]
async fn mail_is_sent_over_tls_with_authentication() {
    for secured in [Secured::Wrapped, Secured::StartTls] {
        let mailbox = Mailbox::start_as(secured, Some(MAIL_PASSWORD)).await;
        let app = start(&url(&mailbox, secured), Some(&mailbox.authority())).await;
        sign_up(&app).await;
        assert_eq!(mailbox.mail(0).await.to, "ada@example.org");
        let said = mailbox.said();
        let place = |command: &str| said.iter().position(|said| said.starts_with(command));
        assert!(place("AUTH") < place("MAIL") && place("AUTH").is_some(), "{secured:?}: {said:?}");
        if matches!(secured, Secured::StartTls) {
            assert!(place("STARTTLS") < place("AUTH") && place("STARTTLS").is_some(), "{said:?}");
        }
        app.stop().await;
    }
}

/// The mail waits through all of it and costs no attempt, until somebody has put the server right.
#[actix_web::test]
async fn mail_waits_for_a_trusted_server_that_accepts_the_password() {
    for secured in [Secured::Wrapped, Secured::StartTls] {
        let mut mailbox = Mailbox::start_as(secured, Some("another")).await;
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [good, elsewhere, unknown] = folders.each_ref().map(tempfile::TempDir::path);
        certify(unknown, "127.0.0.1");
        // By the same authority as the good one, for another name.
        certify(good, "127.0.0.1");
        issue(good, elsewhere, "mail.example.org");
        let authority = good.join("authority.pem").display().to_string();

        mailbox.restart_as(unknown, secured, Some("another")).await;
        let app = start(&url(&mailbox, secured), Some(&authority)).await;
        sign_up(&app).await;
        waits(&app, "invalid peer certificate: ").await;
        mailbox.restart_as(elsewhere, secured, Some("another")).await;
        waits(&app, "not valid for name").await;
        // Nobody was told a thing: at most that there is somebody who would like TLS.
        let said = mailbox.said();
        assert!(said.iter().all(|said| said.starts_with("EHLO") || said == "STARTTLS"), "{said:?}");

        mailbox.restart_as(good, secured, Some("another")).await;
        waits(&app, "535").await;
        assert!(mailbox.mails().is_empty());
        mailbox.restart_as(good, secured, Some(MAIL_PASSWORD)).await;
        assert_eq!(mailbox.mail(0).await.to, "ada@example.org");
        app.stop().await;
    }
}

/// As it is with somebody in between who takes the offer out of the server's answer.
#[actix_web::test]
async fn nothing_is_sent_to_a_server_without_tls() {
    let mailbox = Mailbox::start_as(Secured::No, Some(MAIL_PASSWORD)).await;
    let app = start(&url(&mailbox, Secured::No), Some(&mailbox.authority())).await;
    sign_up(&app).await;
    waits(&app, "STARTTLS is not supported").await;
    let said = mailbox.said();
    assert!(!said.is_empty() && said.iter().all(|said| said.starts_with("EHLO") || said == "QUIT"), "{said:?}");
    assert!(mailbox.mails().is_empty());
    app.stop_with_jobs().await;
}

/// The system's authorities know nothing of this one.
#[actix_web::test]
async fn system_authorities_apply_without_a_configured_ca() {
    let mailbox = Mailbox::start_as(Secured::Wrapped, None).await;
    let app = start(&url(&mailbox, Secured::Wrapped), None).await;
    sign_up(&app).await;
    waits(&app, "invalid peer certificate: ").await;
    assert!(mailbox.mails().is_empty() && mailbox.said().is_empty());
    app.stop_with_jobs().await;
}
