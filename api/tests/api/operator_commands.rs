//! What operators do by hand, with the programs as they are run: it is written down with their names, or not done.

use std::process::Output;

use nvisy_api::command;
use serde_json::{Value, json};

use crate::{
    startup::{refused, run, text},
    support::app::TestApp,
};

impl TestApp {
    /// A command of somebody who became another through `sudo`.
    async fn by_hand(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
        run("nvisy-api", arguments, &self.place, &[&[("SUDO_USER", "grace")], settings].concat()).await
    }

    /// Object and details of the entries of operators, oldest first.
    async fn done_by_hand(&self) -> Vec<(String, String, Value)> {
        let entries = "select action, object_id::text as object, details from activity
             where details like '%operator%' and actor = 'system' and account_id is null and address is null
             order by created_at";
        let text = |row: &nvisy_shared::store::Row, name: &str| row.try_get::<String>("", name).unwrap();
        let rows = self.rows(entries).await;
        let details = |row| serde_json::from_str(&text(row, "details")).unwrap();
        rows.iter().map(|row| (text(row, "action"), text(row, "object"), details(row))).collect()
    }
}

#[actix_web::test]
async fn operator_commands_record_the_operator() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let other = tempfile::tempdir().unwrap();
    command::keys(other.path(), false).unwrap();
    let file = |name: &str| other.path().join(name).display().to_string();
    let (private, public) = (file("private.pem"), file("public.pem"));
    let pair = [("NVISY_AUTH_PRIVATE_KEY_FILE", private.as_str()), ("NVISY_AUTH_PUBLIC_KEY_FILE", public.as_str())];
    for (arguments, settings) in [
        (&["suspend", ada.email.as_str()][..], &[][..]),
        (&["resume", &ada.id], &[]),
        (&["quota", &workspace, "--files", "7"], &[]),
        (&["adopt-signing-keys"], &pair),
    ] {
        let done = app.by_hand(arguments, settings).await;
        assert!(done.status.success(), "{arguments:?}: {}", text(&done.stderr));
    }

    let entries = app.done_by_hand().await;
    let nil = uuid::Uuid::nil().to_string();
    let expected = [
        ("account.suspended", &ada.id),
        ("account.resumed", &ada.id),
        ("workspace.quota_set", &workspace),
        ("installation.keys_adopted", &nil),
    ];
    assert_eq!(entries.len(), expected.len(), "{entries:?}");
    for ((action, object, details), (expected_action, expected_object)) in entries.iter().zip(expected) {
        assert_eq!((action.as_str(), object), (expected_action, expected_object));
        assert_eq!(details["operator"]["user"], "grace", "{details}");
        assert!(!details["operator"]["host"].as_str().unwrap().is_empty(), "{details}");
    }
    assert_eq!(entries[2].2["files"], 7);
    // Whom it is about learns what was done, and not the names of people and machines here.
    let seen = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/activities?type=workspace.quota_set")).await;
    assert_eq!(seen.expect(200)["items"][0]["details"], json!({ "files": 7 }));
    for own in ["", "/export"] {
        let seen = app.get(&ada, &format!("/api/v1/account/activities{own}")).await;
        assert!(seen.status.is_success() && seen.text.contains("account.suspended"), "{}", seen.text);
        assert!(!seen.text.contains("operator") && !seen.text.contains("grace"), "{}", seen.text);
    }
    let (from, to) = (entries[3].2["from"].as_str().unwrap(), entries[3].2["to"].as_str().unwrap());
    let known: String =
        app.rows("select signing_key_id from installation").await[0].try_get("", "signing_key_id").unwrap();
    assert_eq!(to, known);
    assert_ne!(from, to);
    assert!(command::verify_activity(app.config(), None).await.unwrap().intact);
    app.stop().await;
}

#[actix_web::test]
async fn operator_without_sudo_is_the_login_name() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let done = run("nvisy-api", &["suspend", &ada.id], &app.place, &[]).await;
    assert!(done.status.success(), "{}", text(&done.stderr));
    let name = std::process::Command::new("id").arg("-un").output().unwrap();
    assert_eq!(app.done_by_hand().await[0].2["operator"]["user"], text(&name.stdout).trim());
    app.stop().await;
}

#[actix_web::test]
async fn command_that_cannot_be_recorded_changes_nothing() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let other = tempfile::tempdir().unwrap();
    command::keys(other.path(), false).unwrap();
    let encryption = other.path().join("encryption.key").display().to_string();
    let setting = [("NVISY_ENCRYPTION_KEY_FILE", encryption.as_str())];
    refused(&app.by_hand(&["suspend", &ada.id], &setting).await, &[&encryption, "does not belong to this database"]);
    refused(&app.by_hand(&["adopt-signing-keys"], &setting).await, &[&encryption, "does not belong to this database"]);
    app.get(&ada, "/api/v1/account").await.expect(200);
    assert!(app.done_by_hand().await.is_empty());
    assert!(command::verify_activity(app.config(), None).await.unwrap().intact);
    app.stop().await;
}
