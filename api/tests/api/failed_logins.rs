//! Refused logins in the activity log: none is lost, and strangers do not fill it.

use std::time::Instant;

use nvisy_api::command::verify_activity;
use nvisy_shared::store::{self, Conn, TransactionTrait};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp, send};

/// What the log says of refusals.
#[derive(Debug)]
pub struct Counted {
    pub entries: i64,
    /// How many there were.
    pub times: i64,
}

/// Stops the API as it is stopped in earnest; what the log says then of refusals like these.
pub async fn stop_and_count(app: TestApp, which: &str) -> Counted {
    let mut counted = Counted { entries: 0, times: 0 };
    app.stop_before(async |place| {
        let config = place.config(&[]);
        let db = store::connect(&config.database).await.unwrap();
        let sql = format!(
            "select count(*) as entries, coalesce(sum(coalesce((details::json ->> 'times')::bigint, 1)), 0)::bigint as times
             from activity where {which}"
        );
        let row = db.query_one_raw(store::statement(&sql)).await.unwrap().unwrap();
        counted = Counted { entries: row.try_get("", "entries").unwrap(), times: row.try_get("", "times").unwrap() };
        assert!(verify_activity(&config, None).await.unwrap().intact);
        db.close().await.unwrap();
    })
    .await;
    counted
}

#[actix_web::test]
async fn failed_logins_for_unknown_emails_are_aggregated() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let began = Instant::now();
    for n in 0..50 {
        app.login(&format!("nobody{n}@example.org"), "not the password").await.problem(401, "wrong_credentials");
        if n == 0 {
            // The first is there before any minute is over.
            app.refused(1).await;
        }
    }
    // Somebody's own are told apart from those of nobody, with what was wrong.
    app.login(&ada.email, "not the password").await.problem(401, "wrong_credentials");
    app.refused(2).await;
    let own = app.get(&ada, "/api/v1/account/activities?type=session.refused").await.expect(200);
    assert_eq!(own["items"][0]["details"], json!({ "reason": "password" }));
    assert_eq!(
        (own["items"][0]["address"].as_str(), own["items"][0]["requestId"].is_string()),
        (Some("127.0.0.1"), true)
    );
    assert_eq!(own["items"].as_array().unwrap().len(), 1);

    let nobodys = format!("action = 'session.refused' and object_id = '{}'", uuid::Uuid::nil());
    let counted = stop_and_count(app, &nobodys).await;
    assert_eq!(counted.times, 50);
    // Two for each minute that it took.
    let minutes = i64::try_from(began.elapsed().as_secs() / 60).unwrap();
    assert!((2..=2 * (minutes + 1)).contains(&counted.entries), "{counted:?}");
}

#[actix_web::test]
async fn failed_logins_from_many_addresses_are_all_recorded() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ada = app.person("ada").await;
    for n in 0..12 {
        let email = if n % 3 == 0 { ada.email.clone() } else { format!("nobody{n}@example.org") };
        let login =
            app.request(Method::POST, "/api/v1/auth/login").header("x-forwarded-for", format!("198.51.100.{n}"));
        let login = login.json(&json!({ "email": email, "password": "not the password" }));
        send(login).await.problem(401, "wrong_credentials");
    }
    app.refused(12).await;
    // Each with an address of its own: whole where it is somebody's, the network where it is nobody's.
    let own = app.get(&ada, "/api/v1/account/activities?type=session.refused").await.expect(200);
    let mut addresses: Vec<&str> =
        own["items"].as_array().unwrap().iter().map(|item: &Value| item["address"].as_str().unwrap()).collect();
    addresses.sort_unstable();
    assert_eq!(addresses, ["198.51.100.0", "198.51.100.3", "198.51.100.6", "198.51.100.9"]);
    let nobodys = "select distinct address from activity where action = 'session.refused' and address is not null";
    let nobodys = app.rows(nobodys).await;
    assert_eq!(nobodys.len(), 1);
    assert_eq!(nobodys[0].try_get::<String>("", "address").unwrap(), "198.51.100.0/24");
    let counted = stop_and_count(app, "action = 'session.refused'").await;
    assert_eq!((counted.entries, counted.times), (12, 12));
}

#[actix_web::test]
async fn failed_login_does_not_wait_for_the_activity_chain() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    // Somebody holds the log of accounts: whoever is let in has to wait for it, whoever is refused does not.
    let held = app.db.begin().await.unwrap();
    let lock = format!("select from activity_chain where chain = '{}' for update", uuid::Uuid::nil());
    held.execute_unprepared(&lock).await.unwrap();
    app.login(&ada.email, "not the password").await.problem(401, "wrong_credentials");
    app.login("nobody@example.org", "not the password").await.problem(401, "wrong_credentials");
    app.post(&ada, "/api/v1/account/deletion", &json!({ "password": "not the password" }))
        .await
        .problem(403, "wrong_password");
    held.rollback().await.unwrap();
    app.login(&ada.email, PASSWORD).await.expect(200);
    let counted = stop_and_count(app, "action in ('session.refused', 'account.password_refused')").await;
    assert_eq!((counted.entries, counted.times), (3, 3));
}
