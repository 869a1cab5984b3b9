//! `nvisy-api doctor`: one line per check with the problem and the remedy, and an exit status.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use crate::support::{TestApp, run, text};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");

const CHECKS: [&str; 19] = [
    "PostgreSQL ",
    "pgvector ",
    "migrations ",
    "private key ",
    "public key ",
    "signing keys ",
    "encryption key ",
    "schema ",
    "database role ",
    "commits ",
    "clock ",
    "NATS ",
    "JetStream ",
    "stream ",
    "consumer ",
    "object store ",
    "outbound proxy ",
    "model ",
    "embedding spaces ",
];

#[actix_web::test]
async fn healthy_installation_passes_every_check() {
    let app = TestApp::start_with(&[LOCAL]).await;
    // A connection to it is accepted by the system.
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let with_proxy = ("NVISY_OUTBOUND_PROXY_URL", address.as_str());
    let output = run("nvisy-api", &["doctor"], &app.deployment, &[LOCAL, with_proxy]).await;
    let report = text(&output.stdout);
    assert!(output.status.success(), "{report}{}", text(&output.stderr));
    assert!(report.contains(&format!("{address} accepts connections")), "{report}");
    for check in CHECKS {
        assert!(report.lines().any(|line| line.starts_with(check)), "no `{check}` in:\n{report}");
    }
    // The role of the tests is a superuser, and their PostgreSQL leaves writing to disk to the system: warnings and not failures.
    let (warnings, others): (Vec<_>, Vec<_>) = report.lines().partition(|line| line.contains(" warn "));
    assert!(others.iter().all(|line| line.contains(" ok ")), "{report}");
    let [role, commits] = warnings[..] else { panic!("two warnings:\n{report}") };
    assert!(role.starts_with("database role") && role.contains("nvisy-migrate grant"), "{report}");
    assert!(commits.starts_with("commits") && commits.contains("set fsync to on"), "{report}");
    assert_eq!(app.deployment.stored_objects().await, 0, "the doctor leaves no object");
    app.stop().await;
}

#[actix_web::test]
async fn all_failed_checks_are_reported_at_once() {
    let app = TestApp::start().await;
    app.sql("alter table member drop constraint member_role_check, alter column role type varchar[] using array[role::text]").await;
    app.sql("update installation set master_key_check = sha256('another')").await;
    app.sql("delete from seaql_migrations where version = 'm0009_jobs'").await;
    let key = app.deployment.keys().path("encryption.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let client = app.config().nats.url.expose().clone();
    // A prefix without streams and bucket.
    let settings = [("NVISY_NATS_PREFIX", "t_without_streams"), ("NVISY_NATS_URL", client.as_str())];
    let output = run("nvisy-api", &["doctor"], &app.deployment, &settings).await;
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{report}");
    let assert_wrong = |check: &str, reason: &str| {
        let found =
            report.lines().any(|line| line.starts_with(check) && line.contains(" WRONG ") && line.contains(reason));
        assert!(found, "`{check}` is not wrong because of `{reason}` in:\n{report}");
    };
    assert_wrong("schema", "member.role is _varchar");
    assert_wrong("migrations", "nvisy-migrate up");
    assert_wrong("encryption key ", "chmod 600");
    assert_wrong("encryption key's database", "does not belong");
    assert_wrong("stream t_without_streams_jobs", "missing");
    assert_wrong("consumer", "missing");
    assert_wrong("object store", "missing");
    assert_wrong("model", "NVISY_EMBEDDING_");
    let assert_ok =
        |check: &str| assert!(report.lines().any(|line| line.starts_with(check) && line.contains(" ok ")), "{report}");
    assert_ok("PostgreSQL");
    assert_ok("NATS");
    assert_ok("clock");
    assert_ok("signing keys");
    app.stop().await;
}

#[actix_web::test]
async fn unreachable_service_does_not_hide_other_checks() {
    let app = TestApp::start().await;
    let unreachable = [
        ("NVISY_DATABASE_URL", "postgres://127.0.0.1:9/x"),
        ("NVISY_NATS_URL", "nats://127.0.0.1:9"),
        ("NVISY_OUTBOUND_PROXY_URL", "http://ada:hunter2@127.0.0.1:9"),
        LOCAL,
    ];
    let output = run("nvisy-api", &["doctor"], &app.deployment, &unreachable).await;
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{report}");
    for (check, result) in [
        ("PostgreSQL", " WRONG "),
        ("NATS", " WRONG "),
        ("outbound proxy", " WRONG  http://127.0.0.1:9 cannot be reached"),
        ("private key", " ok "),
        ("model", " ok "),
    ] {
        assert!(
            report.lines().any(|line| line.starts_with(check) && line.contains(result)),
            "{check}{result}:\n{report}"
        );
    }
    assert!(!report.contains("hunter2"), "{report}");
    app.stop().await;
}
