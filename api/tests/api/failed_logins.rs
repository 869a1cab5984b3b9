//! Failed logins in the activity log: all are counted, and unknown emails create few entries.

use std::time::Instant;

use nvisy_shared::store::{Conn, TransactionTrait};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PASSWORD, TestApp, send, stop_and_count, wait_until};

#[actix_web::test]
async fn failed_logins_for_unknown_emails_are_aggregated() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let began = Instant::now();
    for n in 0..50 {
        app.login(&format!("nobody{n}@example.org"), "not the password").await.problem(401, "wrong_credentials");
        if n == 0 {
            // The first failure is recorded at once.
            app.wait_for_failed_logins(1).await;
        }
    }
    // Failures of a known account have their own entries with a reason.
    app.login(&ada.email, "not the password").await.problem(401, "wrong_credentials");
    // Counting all entries would not do: more than a minute after the first, unknown emails have another one.
    let own = wait_until("the failed login of the account is recorded", async || {
        let own = app.get(&ada, "/api/v1/account/activities?type=session.refused").await.expect(200);
        own["items"][0].is_object().then_some(own)
    })
    .await;
    assert_eq!(own["items"][0]["details"], json!({ "reason": "password" }));
    assert_eq!(
        (own["items"][0]["address"].as_str(), own["items"][0]["requestId"].is_string()),
        (Some("127.0.0.1"), true)
    );
    assert_eq!(own["items"].as_array().unwrap().len(), 1);

    let unknown = format!("action = 'session.refused' and object_id = '{}'", uuid::Uuid::nil());
    let counted = stop_and_count(app, &unknown).await;
    assert_eq!(counted.events, 50);
    // At most two entries per minute.
    let minutes = i64::try_from(began.elapsed().as_secs() / 60).unwrap();
    assert!((2..=2 * (minutes + 1)).contains(&counted.entries), "{counted:?}");
}

#[actix_web::test]
async fn failed_logins_from_many_addresses_are_all_recorded() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ada = app.create_account("ada").await;
    for n in 0..12 {
        let email = if n % 3 == 0 { ada.email.clone() } else { format!("nobody{n}@example.org") };
        let login =
            app.request(Method::POST, "/api/v1/auth/login").header("x-forwarded-for", format!("198.51.100.{n}"));
        let login = login.json(&json!({ "email": email, "password": "not the password" }));
        send(login).await.problem(401, "wrong_credentials");
    }
    app.wait_for_failed_logins(12).await;
    // A known account has the full address, an unknown email the network prefix.
    let own = app.get(&ada, "/api/v1/account/activities?type=session.refused").await.expect(200);
    let mut addresses: Vec<&str> =
        own["items"].as_array().unwrap().iter().map(|item: &Value| item["address"].as_str().unwrap()).collect();
    addresses.sort_unstable();
    assert_eq!(addresses, ["198.51.100.0", "198.51.100.3", "198.51.100.6", "198.51.100.9"]);
    let unknown = "select distinct address from activity where action = 'session.refused' and address is not null";
    let unknown = app.rows(unknown).await;
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0].try_get::<String>("", "address").unwrap(), "198.51.100.0/24");
    let counted = stop_and_count(app, "action = 'session.refused'").await;
    assert_eq!((counted.entries, counted.events), (12, 12));
}

#[actix_web::test]
async fn failed_login_does_not_wait_for_the_activity_chain() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    // A transaction locks the chain of accounts: a successful login would wait for it, a failed one does not.
    let lock_holder = app.db.begin().await.unwrap();
    let chain = format!("select from activity_chain where chain = '{}' for update", uuid::Uuid::nil());
    lock_holder.execute_unprepared(&chain).await.unwrap();
    app.login(&ada.email, "not the password").await.problem(401, "wrong_credentials");
    app.login("nobody@example.org", "not the password").await.problem(401, "wrong_credentials");
    app.post(&ada, "/api/v1/account/deletion", &json!({ "password": "not the password" }))
        .await
        .problem(403, "wrong_password");
    lock_holder.rollback().await.unwrap();
    app.login(&ada.email, PASSWORD).await.expect(200);
    let counted = stop_and_count(app, "action in ('session.refused', 'account.password_refused')").await;
    assert_eq!((counted.entries, counted.events), (3, 3));
}
