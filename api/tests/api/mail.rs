use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    api_tokens::program,
    second_factor,
    support::app::{Answer, PASSWORD, Person, TestApp, send, until},
    support::mailbox::Mailbox,
};

const NEW_PASSWORD: &str = "eight badgers hum";

/// An API with a worker that can send mail.
async fn start() -> (TestApp, Mailbox) {
    let mailbox = Mailbox::start().await;
    let mut app = TestApp::start_with(&mailbox.settings()).await;
    app.start_worker().await;
    (app, mailbox)
}

async fn post(app: &TestApp, path: &str, body: &Value) -> Answer {
    send(app.request(Method::POST, path).json(body)).await
}

async fn sign_up(app: &TestApp, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password, "displayName": "Ada" });
    post(app, "/api/v1/auth/sign-up", &body).await
}

async fn confirm_sign_up(app: &TestApp, token: &str, password: &str) -> Answer {
    post(app, "/api/v1/auth/sign-up/confirm", &json!({ "token": token, "password": password })).await
}

async fn forgot(app: &TestApp, email: &str) -> Answer {
    post(app, "/api/v1/auth/password-reset", &json!({ "email": email })).await
}

async fn reset(app: &TestApp, token: &str, password: &str) -> Answer {
    post(app, "/api/v1/auth/password-reset/confirm", &json!({ "token": token, "newPassword": password })).await
}

async fn confirm_email(app: &TestApp, token: &str) -> Answer {
    post(app, "/api/v1/auth/email/confirm", &json!({ "token": token })).await
}

/// Somebody who has confirmed their sign-up; `place` is that of the mail.
async fn person(app: &TestApp, mailbox: &Mailbox, email: &str, place: usize) -> Person {
    sign_up(app, email, PASSWORD).await.expect(202);
    let account = confirm_sign_up(app, &mailbox.mail(place).await.token(), PASSWORD).await.expect(201);
    let id = account["id"].as_str().unwrap().to_owned();
    app.again(&Person { id, email: email.to_owned(), token: String::new(), refresh: String::new() }).await
}

/// The actions of the activity log, in order.
async fn actions(app: &TestApp) -> Vec<String> {
    let rows = app.rows("select action from activity order by chain, seq").await;
    rows.iter().map(|row| row.try_get("", "action").unwrap()).collect()
}

/// Mail may be sent to the same address again.
async fn a_minute_later(app: &TestApp) {
    app.sql("update mail set created_at = created_at - interval '1 minute'").await;
}

async fn all_sent(app: &TestApp) {
    until("the end of all jobs", async || (app.count("job").await == 0).then_some(())).await;
}

#[actix_web::test]
async fn sign_up_is_confirmed_by_mail() {
    let (app, mailbox) = start().await;
    assert_eq!(sign_up(&app, " Ada@Example.ORG ", PASSWORD).await.expect(202), json!({ "email": "ada@example.org" }));
    app.login("ada@example.org", PASSWORD).await.problem(401, "wrong_credentials");
    app.refused(1).await;
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
    let (app, mailbox) = start().await;
    person(&app, &mailbox, "ada@example.org", 0).await;
    let taken = sign_up(&app, "ada@example.org", NEW_PASSWORD).await;
    let free = sign_up(&app, "bob@example.org", NEW_PASSWORD).await;
    assert_eq!(taken.status, free.status);
    assert_eq!(taken.text.replace("ada", "bob"), free.text);
    // Neither password opens anything, so trying it tells nothing either.
    for email in ["ada@example.org", "bob@example.org"] {
        app.login(email, NEW_PASSWORD).await.problem(401, "wrong_credentials");
    }
    all_sent(&app).await;
    let mails = mailbox.mails();
    let to = |email: &str| mails.iter().rfind(|mail| mail.to == email).unwrap();
    assert_eq!(to("ada@example.org").subject, "You have an account already");
    assert!(!to("ada@example.org").text.contains("token"));
    assert_eq!(to("bob@example.org").subject, "Confirm your account");
    app.stop().await;
}

#[actix_web::test]
async fn sign_up_link_requires_the_password_of_its_own_request() {
    let (app, mailbox) = start().await;
    sign_up(&app, "ada@example.org", NEW_PASSWORD).await.expect(202);
    let squatters = mailbox.mail(0).await.token();
    a_minute_later(&app).await;
    sign_up(&app, "ada@example.org", PASSWORD).await.expect(202);
    let own = mailbox.mail(1).await.token();
    // Whoever reads both mails makes an account with their own password only.
    confirm_sign_up(&app, &squatters, PASSWORD).await.problem(401, "link_refused");
    confirm_sign_up(&app, &own, PASSWORD).await.expect(201);
    confirm_sign_up(&app, &squatters, NEW_PASSWORD).await.problem(401, "link_refused");
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
    // As a link that is none; and this one stays.
    let mut wrong = confirm_sign_up(&app, &token, PASSWORD).await.problem(401, "link_refused");
    let mut none = confirm_sign_up(&app, "nvisy_mail_0", PASSWORD).await.problem(401, "link_refused");
    wrong["requestId"].take();
    none["requestId"].take();
    assert_eq!(wrong, none);
    assert_eq!(app.count("account").await, 0);
    let refused = until("the limit", async || {
        Some(confirm_sign_up(&app, &token, PASSWORD).await).filter(|answer| answer.status == 429)
    });
    refused.await.problem(429, "too_many_requests");
    until("a turn", async || (confirm_sign_up(&app, &token, NEW_PASSWORD).await.status == 201).then_some(())).await;
    app.stop().await;
}

/// Who once knew the password has asked for a link to a mailbox of their own.
#[actix_web::test]
async fn password_change_invalidates_earlier_links() {
    let (app, mailbox) = start().await;
    let ada = person(&app, &mailbox, "ada@example.org", 0).await;
    let ask = async |password: &str| {
        let body = json!({ "email": "eve@example.org", "password": password });
        app.post(&ada, "/api/v1/account/email", &body).await.expect(202);
    };
    ask(PASSWORD).await;
    let change = mailbox.mail(1).await.token();
    forgot(&app, &ada.email).await.expect(202);
    let first = mailbox.mail(2).await.token();
    let body = json!({ "currentPassword": PASSWORD, "newPassword": NEW_PASSWORD });
    assert_eq!(app.post(&ada, "/api/v1/account/password", &body).await.status, 204);
    confirm_email(&app, &change).await.problem(401, "link_refused");
    reset(&app, &first, "nine weasels sing").await.problem(401, "link_refused");

    a_minute_later(&app).await;
    ask(NEW_PASSWORD).await;
    let change = mailbox.mail(3).await.token();
    forgot(&app, &ada.email).await.expect(202);
    assert_eq!(reset(&app, &mailbox.mail(4).await.token(), PASSWORD).await.status, 204);
    confirm_email(&app, &change).await.problem(401, "link_refused");

    let ada = app.again(&ada).await;
    a_minute_later(&app).await;
    let body = json!({ "email": "eve@example.org", "password": PASSWORD });
    app.post(&ada, "/api/v1/account/email", &body).await.expect(202);
    let change = mailbox.mail(5).await.token();
    app.post(&ada, "/api/v1/account/deletion", &json!({ "password": PASSWORD })).await.expect(202);
    confirm_email(&app, &change).await.problem(401, "link_refused");
    let ada = app.again(&ada).await;
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["email"], "ada@example.org");
    app.stop().await;
}

#[actix_web::test]
async fn logout_everywhere_invalidates_earlier_links() {
    let (app, mailbox) = start().await;
    let ada = person(&app, &mailbox, "ada@example.org", 0).await;
    let bob = person(&app, &mailbox, "bob@example.org", 1).await;
    let body = json!({ "email": "eve@example.org", "password": PASSWORD });
    app.post(&ada, "/api/v1/account/email", &body).await.expect(202);
    let change = mailbox.mail(2).await.token();
    forgot(&app, &ada.email).await.expect(202);
    let first = mailbox.mail(3).await.token();
    forgot(&app, &bob.email).await.expect(202);
    let bobs = mailbox.mail(4).await.token();

    assert_eq!(app.delete(&ada, "/api/v1/account/sessions").await.status, 204);
    confirm_email(&app, &change).await.problem(401, "link_refused");
    reset(&app, &first, NEW_PASSWORD).await.problem(401, "link_refused");
    let ada = app.again(&ada).await;
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["email"], "ada@example.org");
    // Other people's are as good as before.
    assert_eq!(reset(&app, &bobs, NEW_PASSWORD).await.status, 204);
    app.stop().await;
}

#[actix_web::test]
async fn password_reset_revokes_api_tokens() {
    let (app, mailbox) = start().await;
    let ada = person(&app, &mailbox, "ada@example.org", 0).await;
    let bob = person(&app, &mailbox, "bob@example.org", 1).await;
    let [(token, _), (bobs, _)] = [program(&app, &ada, json!({})).await, program(&app, &bob, json!({})).await];
    let body = json!({ "currentPassword": PASSWORD, "newPassword": NEW_PASSWORD });
    assert_eq!(app.post(&ada, "/api/v1/account/password", &body).await.status, 204);
    // Programs go on when the person only changes the password.
    app.get(&token, "/api/v1/account").await.expect(200);
    forgot(&app, &ada.email).await.expect(202);
    assert_eq!(reset(&app, &mailbox.mail(2).await.token(), PASSWORD).await.status, 204);
    app.get(&token, "/api/v1/account").await.problem(401, "unauthenticated");
    app.get(&bobs, "/api/v1/account").await.expect(200);
    let of = format!("select from activity where action = 'token.revoked' and account_id = '{}'", ada.id);
    assert_eq!(app.rows(&of).await.len(), 1);
    app.stop().await;
}

#[actix_web::test]
async fn repeated_wrong_codes_notify_the_account() {
    let (app, mailbox) = start().await;
    let ada = person(&app, &mailbox, "ada@example.org", 0).await;
    let device = second_factor::enrol(&app, &ada).await;
    app.post(&ada, "/api/v1/account/totp/confirm", &json!({ "code": device.code(0) })).await.expect(200);
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
    all_sent(&app).await;
    assert_eq!(mailbox.mails().len(), 2);
    app.stop().await;
}

#[actix_web::test]
async fn forgotten_password_is_reset_by_mail() {
    let (app, mailbox) = start().await;
    let ada = person(&app, &mailbox, "ada@example.org", 0).await;
    let known = forgot(&app, "ada@example.org").await;
    let unknown = forgot(&app, "bob@example.org").await;
    assert_eq!(known.status, 202);
    assert_eq!(known.text.replace("ada", "bob"), unknown.text);
    let token = mailbox.mail(1).await.token();
    let stored = app.rows("select coalesce(string_agg(mail::text, ' '), '') as rows from mail").await;
    assert!(!stored[0].try_get::<String>("", "rows").unwrap().contains(&token));

    reset(&app, &token, "password123").await.problem(422, "invalid_body");
    reset(&app, &token, "ada@example.org").await.problem(422, "invalid_body");
    reset(&app, "nvisy_mail_0", NEW_PASSWORD).await.problem(401, "link_refused");
    assert_eq!(reset(&app, &token, NEW_PASSWORD).await.status, 204);
    reset(&app, &token, NEW_PASSWORD).await.problem(401, "link_refused");
    app.get(&ada, "/api/v1/account").await.problem(401, "unauthenticated");
    app.login(&ada.email, PASSWORD).await.problem(401, "wrong_credentials");
    app.login(&ada.email, NEW_PASSWORD).await.expect(200);
    all_sent(&app).await;
    assert!(mailbox.mails().iter().all(|mail| mail.to == "ada@example.org"));
    let actions = actions(&app).await;
    // Of the one that is somebody's.
    assert_eq!(actions.iter().filter(|action| *action == "account.reset_asked").count(), 1);
    assert!(actions.contains(&"account.password_reset".to_owned()));
    app.stop().await;
}

/// What the request does is the same, down to the rows it writes: there is nothing to be measured.
#[actix_web::test]
async fn password_reset_request_writes_the_same_rows_for_unknown_emails() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start_with(&mailbox.settings()).await;
    app.sql(
        "insert into account (id, email, display_name, password_hash)
         values (gen_random_uuid(), 'ada@example.org', 'Ada', 'none')",
    )
    .await;
    forgot(&app, "ada@example.org").await.expect(202);
    forgot(&app, "bob@example.org").await.expect(202);
    let shape = "select kind, account_id is null as nobody, hash is null as unsent, count(*) as mails from mail group by 1, 2, 3";
    let rows = app.rows(shape).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].try_get::<i64>("", "mails").unwrap(), 2);
    let jobs = app.rows("select payload::text as payload from job where kind = 'mail.send'").await;
    assert_eq!(jobs.len(), 2);
    for job in jobs {
        let payload: String = job.try_get("", "payload").unwrap();
        assert!(!payload.contains("example"), "{payload}");
    }
    app.stop_with_jobs().await;
}

#[actix_web::test]
async fn links_expire_and_mails_per_address_are_throttled() {
    let (app, mailbox) = start().await;
    let ada = person(&app, &mailbox, "ada@example.org", 0).await;
    forgot(&app, &ada.email).await.expect(202);
    let token = mailbox.mail(1).await.token();
    for _ in 0..5 {
        forgot(&app, &ada.email).await.expect(202);
    }
    all_sent(&app).await;
    assert_eq!(mailbox.mails().len(), 2);
    // Nor by any other kind of mail, whoever asks.
    for _ in 0..3 {
        sign_up(&app, "bob@example.org", PASSWORD).await.expect(202);
        sign_up(&app, &ada.email, PASSWORD).await.expect(202);
        app.post(&ada, "/api/v1/account/email/verification", &json!({})).await.expect(202);
        let body = json!({ "email": "new@example.org", "password": PASSWORD });
        app.post(&ada, "/api/v1/account/email", &body).await.expect(202);
        all_sent(&app).await;
        assert_eq!(mailbox.mails().len(), 6);
    }
    app.sql("update mail set expires_at = now()").await;
    reset(&app, &token, NEW_PASSWORD).await.problem(401, "link_refused");
    app.login(&ada.email, PASSWORD).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn email_changes_after_the_new_address_is_confirmed() {
    let (app, mailbox) = start().await;
    let ada = person(&app, &mailbox, "ada@example.org", 0).await;
    person(&app, &mailbox, "bob@example.org", 1).await;
    let change = async |email: &str, password: &str| {
        app.post(&ada, "/api/v1/account/email", &json!({ "email": email, "password": password })).await
    };
    change("new@example.org", "not the password").await.problem(403, "wrong_password");
    change("no address", PASSWORD).await.problem(422, "invalid_body");
    let taken = change("bob@example.org", PASSWORD).await;
    let free = change("New@example.org", PASSWORD).await;
    assert_eq!(taken.status, free.status);
    assert_eq!(taken.text.replace("bob", "new"), free.text);
    let mail = mailbox.mail(2).await;
    assert_eq!(mail.to, "new@example.org");
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["email"], "ada@example.org");
    // A link is good for what it was sent for.
    reset(&app, &mail.token(), NEW_PASSWORD).await.problem(401, "link_refused");
    assert_eq!(confirm_email(&app, &mail.token()).await.status, 204);
    confirm_email(&app, &mail.token()).await.problem(401, "link_refused");
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["email"], "new@example.org");
    app.login("ada@example.org", PASSWORD).await.problem(401, "wrong_credentials");
    app.login("new@example.org", PASSWORD).await.expect(200);
    all_sent(&app).await;
    // Whoever reads the former mailbox is told, for it may not have been they.
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
    let (app, mailbox) = start().await;
    let ada = person(&app, &mailbox, "ada@example.org", 0).await;
    let body = json!({ "email": "new@example.org", "password": PASSWORD });
    app.post(&ada, "/api/v1/account/email", &body).await.expect(202);
    let token = mailbox.mail(1).await.token();
    person(&app, &mailbox, "new@example.org", 2).await;
    confirm_email(&app, &token).await.problem(401, "link_refused");
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["email"], "ada@example.org");
    app.stop().await;
}

#[actix_web::test]
async fn unverified_account_verifies_its_email() {
    let (app, mailbox) = start().await;
    let ada = person(&app, &mailbox, "ada@example.org", 0).await;
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
async fn repeated_request_sends_one_mail_and_confirms_once() {
    let (app, mailbox) = start().await;
    let again = async |path: &str, person: Option<&Person>, body: &Value| {
        let request = app.request(Method::POST, path).header("idempotency-key", "k1").json(body);
        send(person.into_iter().fold(request, |request, person| request.bearer_auth(&person.token))).await
    };
    sign_up(&app, "ada@example.org", PASSWORD).await.expect(202);
    let token = json!({ "token": mailbox.mail(0).await.token(), "password": PASSWORD });
    let account = again("/api/v1/auth/sign-up/confirm", None, &token).await.expect(201);
    let repeated = again("/api/v1/auth/sign-up/confirm", None, &token).await;
    assert_eq!(repeated.header("idempotency-replayed"), "true");
    assert_eq!(repeated.expect(201), account);
    let other = json!({ "token": "nvisy_mail_0", "password": PASSWORD });
    again("/api/v1/auth/sign-up/confirm", None, &other).await.problem(401, "link_refused");

    let id = account["id"].as_str().unwrap().to_owned();
    let ada = Person { id, email: "ada@example.org".to_owned(), token: String::new(), refresh: String::new() };
    let ada = app.again(&ada).await;
    let change = json!({ "email": "new@example.org", "password": PASSWORD });
    for (path, person, body) in [
        ("/api/v1/auth/password-reset", None, json!({ "email": "ada@example.org" })),
        ("/api/v1/account/email/verification", Some(&ada), json!({})),
        ("/api/v1/account/email", Some(&ada), change),
    ] {
        let before = app.count("mail").await;
        let first = again(path, person, &body).await.expect(202);
        assert_eq!(again(path, person, &body).await.expect(202), first, "{path}");
        assert_eq!(app.count("mail").await, before + 1, "{path}");
    }
    // Whoever has the key and not the password is told nothing.
    let wrong = json!({ "email": "new@example.org", "password": "not the password" });
    again("/api/v1/account/email", Some(&ada), &wrong).await.problem(403, "wrong_password");
    all_sent(&app).await;
    assert_eq!(mailbox.mails().len(), 4);
    app.stop().await;
}

#[actix_web::test]
async fn invite_to_an_email_requires_a_verified_email() {
    let (app, mailbox) = start().await;
    let ada = person(&app, &mailbox, "ada@example.org", 0).await;
    let bob = person(&app, &mailbox, "bob@example.org", 1).await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
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

#[actix_web::test]
async fn mail_waits_for_an_unreachable_server() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("smtp://{gone}");
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
    let error = until("a failed attempt", async || app.rows(error).await.pop()).await;
    let error: String = error.try_get("", "error").unwrap();
    assert!(error.contains("mail server") && !error.contains("ada"), "{error}");
    app.stop_with_jobs().await;
}

#[actix_web::test]
async fn mail_operations_return_501_without_a_mail_server() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    forgot(&app, "ada@example.org").await.problem(501, "mail_not_configured");
    let body = json!({ "email": "new@example.org", "password": PASSWORD });
    app.post(&ada, "/api/v1/account/email", &body).await.problem(501, "mail_not_configured");
    app.post(&ada, "/api/v1/account/email/verification", &json!({})).await.problem(501, "mail_not_configured");
    app.stop().await;
}
