//! Commands of operators, run as processes: they are recorded with the operator, or change nothing.

use std::process::Output;

use nvisy_api::cli;
use serde_json::{Value, json};

use crate::support::{TestApp, assert_single_error, run, text};

impl TestApp {
    /// Runs a command as `grace` through `sudo`.
    async fn run_with_sudo(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
        run("nvisy-api", arguments, &self.deployment, &[&[("SUDO_USER", "grace")], settings].concat()).await
    }

    /// Action, object and details of the entries of operators, oldest first.
    async fn operator_entries(&self) -> Vec<(String, String, Value)> {
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
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let other = tempfile::tempdir().unwrap();
    cli::keys(other.path(), false).unwrap();
    let file = |name: &str| other.path().join(name).display().to_string();
    let (private, public) = (file("private.pem"), file("public.pem"));
    let pair = [("NVISY_AUTH_PRIVATE_KEY_FILE", private.as_str()), ("NVISY_AUTH_PUBLIC_KEY_FILE", public.as_str())];
    for (arguments, settings) in [
        (&["suspend", ada.email.as_str()][..], &[][..]),
        (&["resume", &ada.id], &[]),
        (&["quota", &workspace, "--files", "7"], &[]),
        (&["adopt-signing-keys"], &pair),
    ] {
        let output = app.run_with_sudo(arguments, settings).await;
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    }

    let entries = app.operator_entries().await;
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
    // The API shows the entries without the names of operators and hosts.
    let shown = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/activities?type=workspace.quota_set")).await;
    assert_eq!(shown.expect(200)["items"][0]["details"], json!({ "files": 7 }));
    for path in ["", "/export"] {
        let shown = app.get(&ada, &format!("/api/v1/account/activities{path}")).await;
        assert!(shown.status.is_success() && shown.text.contains("account.suspended"), "{}", shown.text);
        assert!(!shown.text.contains("operator") && !shown.text.contains("grace"), "{}", shown.text);
    }
    let (from, to) = (entries[3].2["from"].as_str().unwrap(), entries[3].2["to"].as_str().unwrap());
    let adopted: String =
        app.rows("select signing_key_id from installation").await[0].try_get("", "signing_key_id").unwrap();
    assert_eq!(to, adopted);
    assert_ne!(from, to);
    assert!(cli::verify_activity(app.config(), None).await.unwrap().intact);
    app.stop().await;
}

#[actix_web::test]
async fn operator_without_sudo_is_the_login_name() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let output = run("nvisy-api", &["suspend", &ada.id], &app.deployment, &[]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let name = std::process::Command::new("id").arg("-un").output().unwrap();
    assert_eq!(app.operator_entries().await[0].2["operator"]["user"], text(&name.stdout).trim());
    app.stop().await;
}

#[actix_web::test]
async fn command_that_cannot_be_recorded_changes_nothing() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let other = tempfile::tempdir().unwrap();
    cli::keys(other.path(), false).unwrap();
    let encryption = other.path().join("encryption.key").display().to_string();
    let setting = [("NVISY_ENCRYPTION_KEY_FILE", encryption.as_str())];
    assert_single_error(
        &app.run_with_sudo(&["suspend", &ada.id], &setting).await,
        &[&encryption, "does not belong to this database"],
    );
    assert_single_error(
        &app.run_with_sudo(&["adopt-signing-keys"], &setting).await,
        &[&encryption, "does not belong to this database"],
    );
    app.get(&ada, "/api/v1/account").await.expect(200);
    assert!(app.operator_entries().await.is_empty());
    assert!(cli::verify_activity(app.config(), None).await.unwrap().intact);
    app.stop().await;
}
