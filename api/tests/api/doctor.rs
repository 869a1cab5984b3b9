//! `nvisy-api doctor`: a line for each part, what is wrong and what to do, and a status.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::{
    startup::{run, text},
    support::app::TestApp,
};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");

const PARTS: [&str; 17] = [
    "PostgreSQL ",
    "pgvector ",
    "migrations ",
    "private key ",
    "public key ",
    "signing keys ",
    "encryption key ",
    "schema ",
    "database role ",
    "clock ",
    "NATS ",
    "JetStream ",
    "stream ",
    "consumer ",
    "object store ",
    "model ",
    "embedding spaces ",
];

#[actix_web::test]
async fn healthy_installation_passes_every_check() {
    let app = TestApp::start_with(&[LOCAL]).await;
    let output = run("nvisy-api", &["doctor"], &app.place, &[LOCAL]).await;
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    for part in PARTS {
        assert!(said.lines().any(|line| line.starts_with(part)), "no `{part}` in:\n{said}");
    }
    // The tests' role is a superuser, which is told and is no failure.
    let (warnings, others): (Vec<_>, Vec<_>) = said.lines().partition(|line| line.contains(" warn "));
    assert!(others.iter().all(|line| line.contains(" ok ")), "{said}");
    assert_eq!(warnings.len(), 1, "{said}");
    assert!(warnings[0].starts_with("database role") && warnings[0].contains("nvisy-migrate grant"), "{said}");
    assert_eq!(app.place.objects().await, 0, "the doctor leaves nothing behind");
    app.stop().await;
}

#[actix_web::test]
async fn all_failed_checks_are_reported_at_once() {
    let app = TestApp::start().await;
    app.sql("alter table member drop constraint member_role_check, alter column role type varchar[] using array[role::text]").await;
    app.sql("update installation set master_key_check = sha256('another')").await;
    app.sql("delete from seaql_migrations where version = 'm0009_jobs'").await;
    let key = app.place.keys().path("encryption.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let client = app.config().nats.url.expose().clone();
    // A bucket that nobody has made.
    let settings = [("NVISY_NATS_PREFIX", "t_without_streams"), ("NVISY_NATS_URL", client.as_str())];
    let output = run("nvisy-api", &["doctor"], &app.place, &settings).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let wrong = |part: &str, what: &str| {
        let found = said.lines().any(|line| line.starts_with(part) && line.contains(" WRONG ") && line.contains(what));
        assert!(found, "`{part}` is not wrong because of `{what}` in:\n{said}");
    };
    wrong("schema", "member.role is _varchar");
    wrong("migrations", "nvisy-migrate up");
    wrong("encryption key ", "chmod 600");
    wrong("encryption key's database", "does not belong");
    wrong("stream t_without_streams_jobs", "missing");
    wrong("consumer", "missing");
    wrong("object store", "missing");
    wrong("model", "NVISY_EMBEDDING_");
    let fine = |part: &str| assert!(said.lines().any(|line| line.starts_with(part) && line.contains(" ok ")), "{said}");
    fine("PostgreSQL");
    fine("NATS");
    fine("clock");
    fine("signing keys");
    app.stop().await;
}

#[actix_web::test]
async fn unreachable_service_does_not_hide_other_checks() {
    let app = TestApp::start().await;
    let away = [("NVISY_DATABASE_URL", "postgres://127.0.0.1:9/x"), ("NVISY_NATS_URL", "nats://127.0.0.1:9"), LOCAL];
    let output = run("nvisy-api", &["doctor"], &app.place, &away).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for (part, word) in [("PostgreSQL", " WRONG "), ("NATS", " WRONG "), ("private key", " ok "), ("model", " ok ")] {
        assert!(said.lines().any(|line| line.starts_with(part) && line.contains(word)), "{part}{word}:\n{said}");
    }
    app.stop().await;
}
