//! Mail over implicit TLS and STARTTLS, to a real server with a self-issued certificate.

use reqwest::Method;
use serde_json::json;

use crate::support::{Mailbox, PASSWORD, Security, TestApp, create_authority, issue_certificate, send, wait_until};

const MAIL_PASSWORD: &str = "p@ss:word";

fn url(mailbox: &Mailbox, security: Security) -> String {
    let address = mailbox.url.strip_prefix("smtp://").unwrap();
    match security {
        Security::Implicit => format!("smtps://nvisy:p%40ss%3Aword@{address}"),
        Security::StartTls | Security::None => format!("smtp://nvisy:p%40ss%3Aword@{address}?tls=required"),
    }
}

/// Starts an API and a worker that send to this URL and trust this authority.
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

/// Waits until the last error of the job has this reason; it must contain no secret and no address.
async fn wait_for_error(app: &TestApp, reason: &str) {
    let error = "select last_error as error from job where last_error is not null";
    let found = wait_until(reason, async || {
        let error: String = app.rows(error).await.pop()?.try_get("", "error").unwrap();
        error.contains(reason).then_some(error)
    });
    let error = found.await;
    assert!(error.contains("the mail server cannot be used"), "{error}");
    assert!(!error.contains("ada@") && !error.contains("p@ss") && !error.contains("p%40ss"), "{error}");
}

#[actix_web::test]
async fn mail_is_sent_over_tls_with_authentication() {
    for security in [Security::Implicit, Security::StartTls] {
        let mailbox = Mailbox::start_as(security, Some(MAIL_PASSWORD)).await;
        let app = start(&url(&mailbox, security), Some(&mailbox.authority())).await;
        sign_up(&app).await;
        assert_eq!(mailbox.mail(0).await.to, "ada@example.org");
        let commands = mailbox.commands();
        let position = |command: &str| commands.iter().position(|sent| sent.starts_with(command));
        assert!(position("AUTH") < position("MAIL") && position("AUTH").is_some(), "{security:?}: {commands:?}");
        if matches!(security, Security::StartTls) {
            assert!(position("STARTTLS") < position("AUTH") && position("STARTTLS").is_some(), "{commands:?}");
        }
        app.stop().await;
    }
}

/// The mail waits without spending attempts until the server is configured correctly.
#[actix_web::test]
async fn mail_waits_for_a_trusted_server_that_accepts_the_password() {
    for security in [Security::Implicit, Security::StartTls] {
        let mut mailbox = Mailbox::start_as(security, Some("another")).await;
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [valid, other_name, untrusted] = folders.each_ref().map(tempfile::TempDir::path);
        create_authority(untrusted, "127.0.0.1");
        create_authority(valid, "127.0.0.1");
        // By the same authority, for another name.
        issue_certificate(valid, other_name, "mail.example.org");
        let authority = valid.join("authority.pem").display().to_string();

        mailbox.restart_as(untrusted, security, Some("another")).await;
        let app = start(&url(&mailbox, security), Some(&authority)).await;
        sign_up(&app).await;
        wait_for_error(&app, "invalid peer certificate: ").await;
        mailbox.restart_as(other_name, security, Some("another")).await;
        wait_for_error(&app, "not valid for name").await;
        // Nothing was sent before TLS was established.
        let commands = mailbox.commands();
        assert!(commands.iter().all(|sent| sent.starts_with("EHLO") || sent == "STARTTLS"), "{commands:?}");

        mailbox.restart_as(valid, security, Some("another")).await;
        wait_for_error(&app, "535").await;
        assert!(mailbox.mails().is_empty());
        mailbox.restart_as(valid, security, Some(MAIL_PASSWORD)).await;
        assert_eq!(mailbox.mail(0).await.to, "ada@example.org");
        app.stop().await;
    }
}

/// An attacker on the connection can remove STARTTLS from the response of the server.
#[actix_web::test]
async fn nothing_is_sent_to_a_server_without_tls() {
    let mailbox = Mailbox::start_as(Security::None, Some(MAIL_PASSWORD)).await;
    let app = start(&url(&mailbox, Security::None), Some(&mailbox.authority())).await;
    sign_up(&app).await;
    wait_for_error(&app, "STARTTLS is not supported").await;
    let commands = mailbox.commands();
    assert!(
        !commands.is_empty() && commands.iter().all(|sent| sent.starts_with("EHLO") || sent == "QUIT"),
        "{commands:?}"
    );
    assert!(mailbox.mails().is_empty());
    app.stop_and_drop_jobs().await;
}

/// The certificate is not issued by an authority of the system.
#[actix_web::test]
async fn system_authorities_apply_without_a_configured_ca() {
    let mailbox = Mailbox::start_as(Security::Implicit, None).await;
    let app = start(&url(&mailbox, Security::Implicit), None).await;
    sign_up(&app).await;
    wait_for_error(&app, "invalid peer certificate: ").await;
    assert!(mailbox.mails().is_empty() && mailbox.commands().is_empty());
    app.stop_and_drop_jobs().await;
}
