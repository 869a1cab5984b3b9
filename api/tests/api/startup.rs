//! A program that cannot start ends with status 1 and one sentence that names the setting or the service and the remedy. It
//! does not panic and serves nothing.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, process::Stdio};

use nvisy_api::cli;
use nvisy_shared::{
    store::{self, Conn},
    testing::{TestDeployment, TestNats},
};
use tokio::process::Command;

use crate::support::{TestApp, assert_single_error, free_port, program, run, text};

const PROGRAMS: [&str; 2] = ["nvisy-api", "nvisy-worker"];

/// Both programs fail to start, with these parts in their sentence.
async fn assert_both_fail(deployment: &TestDeployment, settings: &[(&str, &str)], parts: &[&str]) {
    for name in PROGRAMS {
        assert_single_error(&run(name, &[], deployment, settings).await, parts);
    }
}

async fn deployment_with_keys() -> TestDeployment {
    let deployment = TestDeployment::new().await;
    cli::keys(deployment.keys().folder(), false).expect("new keys");
    deployment
}

#[actix_web::test]
async fn programs_print_help_and_version_and_reject_unknown_commands() {
    let deployment = TestDeployment::new().await;
    for (name, usage_error) in [("nvisy-api", 1), ("nvisy-worker", 2), ("nvisy-migrate", 1)] {
        for (argument, expected) in [("--help", format!("Usage: {name}")), ("--version", format!("{name} 0."))] {
            let output = run(name, &[argument], &deployment, &[]).await;
            assert!(output.status.success() && text(&output.stdout).contains(&expected), "{output:?}");
        }
        let output = run(name, &["unknown"], &deployment, &[]).await;
        assert_eq!(output.status.code(), Some(usage_error), "{output:?}");
        assert!(output.stdout.is_empty() && text(&output.stderr).contains("unknown"), "{output:?}");
    }
    deployment.close().await;
}

#[actix_web::test]
async fn invalid_settings_are_named() {
    let deployment = deployment_with_keys().await;
    assert_both_fail(&deployment, &[("NVISY_HTTP_ADDRES", "x")], &["NVISY_HTTP_ADDRES is not a setting"]).await;
    assert_both_fail(&deployment, &[("NVISY_HTTP_WORKERS", "two")], &["NVISY_HTTP_WORKERS has a value that is not"])
        .await;
    assert_both_fail(
        &deployment,
        &[("NVISY_DATABASE_URL", "db")],
        &["NVISY_DATABASE_URL has a value that is not a PostgreSQL URL"],
    )
    .await;
    assert_both_fail(
        &deployment,
        &[("NVISY_DATABASE_URL", ""), ("NVISY_DATABASE_URL_FILE", "/nowhere/url")],
        &["NVISY_DATABASE_URL_FILE names /nowhere/url, which cannot be read"],
    )
    .await;
    assert_both_fail(&deployment, &[("NVISY_EMBEDDING_MODEL", "")], &["NVISY_EMBEDDING_MODEL must be set"]).await;
    let both = [("NVISY_HTTP_WORKERS", "0"), ("NVISY_LOG_FORMAT", "xml")];
    let error = text(&run("nvisy-api", &[], &deployment, &both).await.stderr);
    assert_eq!(error.lines().count(), 2, "each invalid setting has a line: {error}");
    deployment.close().await;
}

#[actix_web::test]
async fn config_command_shows_each_value_and_its_source() {
    let deployment = deployment_with_keys().await;
    let file = deployment.keys().path("nats-url");
    let url = deployment.config(&[]).nats.url.expose().replace("nats://", "nats://hunter2@");
    fs::write(&file, format!("{url}\n")).unwrap();
    fs::write(deployment.keys().path(".env"), "NVISY_QUEUE_ATTEMPTS=9\nNVISY_HTTP_WORKERS=9\n").unwrap();
    let settings =
        [("NVISY_NATS_URL", ""), ("NVISY_NATS_URL_FILE", file.to_str().unwrap()), ("NVISY_HTTP_WORKERS", "3")];
    for name in PROGRAMS {
        let output = run(name, &["config"], &deployment, &settings).await;
        let printed = text(&output.stdout);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let line = |name: &str| {
            printed.lines().find(|line| line.starts_with(name)).expect("a line for every setting").to_owned()
        };
        assert!(line("NVISY_QUEUE_ATTEMPTS=9 ").ends_with("# .env"), "{printed}");
        assert!(line("NVISY_HTTP_WORKERS=3 ").ends_with("# environment"), "{printed}");
        assert!(line("NVISY_NATS_URL=nats://[hidden]@").ends_with(&format!("# file {}", file.display())), "{printed}");
        assert!(line("NVISY_HTTP_JSON_BYTES=").ends_with("# default"), "{printed}");
        assert!(!printed.contains("hunter2") && !printed.contains("postgres:postgres"), "{printed}");
        let invalid = run(name, &["config"], &deployment, &[("NVISY_HTTP_WORKERS", "0")]).await;
        assert_eq!(invalid.status.code(), Some(1));
        assert!(text(&invalid.stderr).contains("NVISY_HTTP_WORKERS"), "{}", text(&invalid.stderr));
    }
    fs::write(deployment.keys().path(".env"), "NVISY_HTTP_WORKERS=4\nthis is hunter2\n").unwrap();
    let broken = run("nvisy-api", &[], &deployment, &[]).await;
    assert_single_error(&broken, &[".env has a line that is not NAME=value"]);
    assert!(!text(&broken.stderr).contains("hunter2"));
    deployment.close().await;
}

#[actix_web::test]
async fn missing_and_broken_key_files_are_named() {
    let deployment = deployment_with_keys().await;
    let path = |name: &str| deployment.keys().path(name);
    let [encryption, private, public] = ["encryption.key", "private.pem", "public.pem"].map(path);
    assert_both_fail(
        &deployment,
        &[("NVISY_ENCRYPTION_KEY_FILE", "/nowhere/key")],
        &["NVISY_ENCRYPTION_KEY_FILE must name", "/nowhere/key", "nvisy-api keys"],
    )
    .await;
    let good = fs::read(&encryption).unwrap();
    fs::write(&encryption, &good[..31]).unwrap();
    assert_both_fail(&deployment, &[], &["NVISY_ENCRYPTION_KEY_FILE", "32 raw bytes", "has 31"]).await;
    fs::write(&encryption, &good).unwrap();

    let api = async |settings: &[(&str, &str)]| run("nvisy-api", &[], &deployment, settings).await;
    assert_single_error(
        &api(&[("NVISY_AUTH_PRIVATE_KEY_FILE", "/nowhere/pem")]).await,
        &["/nowhere/pem cannot be read", "nvisy-api keys"],
    );
    let own = fs::read(&public).unwrap();
    let other = tempfile::tempdir().unwrap();
    cli::keys(other.path(), false).unwrap();
    fs::copy(other.path().join("public.pem"), &public).unwrap();
    assert_single_error(
        &api(&[]).await,
        &["public.pem is not the public key of", "private.pem", "NVISY_AUTH_PUBLIC_KEY_FILE"],
    );
    fs::write(&public, own).unwrap();
    fs::write(&private, "-----BEGIN NONSENSE-----").unwrap();
    assert_single_error(&api(&[]).await, &["private.pem is not an Ed25519 key", "NVISY_AUTH_PRIVATE_KEY_FILE"]);
    deployment.close().await;
}

#[actix_web::test]
async fn keys_of_another_installation_are_rejected() {
    let app = TestApp::start().await;
    let other = tempfile::tempdir().unwrap();
    cli::keys(other.path(), false).unwrap();
    let file = |name: &str| other.path().join(name).display().to_string();

    let encryption = file("encryption.key");
    let setting = [("NVISY_ENCRYPTION_KEY_FILE", encryption.as_str())];
    assert_both_fail(
        &app.deployment,
        &setting,
        &[&encryption, "does not belong to this database", "NVISY_DATABASE_URL"],
    )
    .await;

    let (private, public) = (file("private.pem"), file("public.pem"));
    let pair = [("NVISY_AUTH_PRIVATE_KEY_FILE", private.as_str()), ("NVISY_AUTH_PUBLIC_KEY_FILE", public.as_str())];
    let foreign = run("nvisy-api", &[], &app.deployment, &pair).await;
    assert_single_error(&foreign, &[&private, "does not belong to this database", "adopt-signing-keys"]);
    let adopted = run("nvisy-api", &["adopt-signing-keys"], &app.deployment, &pair).await;
    assert!(adopted.status.success(), "{}", text(&adopted.stderr));
    assert_single_error(
        &run("nvisy-api", &[], &app.deployment, &[]).await,
        &["private.pem does not belong to this database"],
    );
    let doctor = text(&run("nvisy-api", &["doctor"], &app.deployment, &pair).await.stdout);
    assert!(doctor.lines().any(|line| line.starts_with("signing keys") && line.contains(" ok ")), "{doctor}");
    app.stop().await;
}

#[actix_web::test]
async fn unusable_postgres_is_named() {
    let deployment = TestDeployment::empty().await;
    cli::keys(deployment.keys().folder(), false).unwrap();
    let url = deployment.config(&[]).database.url.expose().clone();
    let unreachable = format!("postgres://postgres:postgres@127.0.0.1:{}/postgres", free_port());
    assert_both_fail(
        &deployment,
        &[("NVISY_DATABASE_URL", &unreachable)],
        &["PostgreSQL cannot be reached: NVISY_DATABASE_URL"],
    )
    .await;
    let wrong = url.replace("postgres:postgres@", "postgres:hunter2@");
    let output = run("nvisy-api", &[], &deployment, &[("NVISY_DATABASE_URL", &wrong)]).await;
    assert_single_error(&output, &["PostgreSQL cannot be reached: NVISY_DATABASE_URL", "password"]);
    assert!(!text(&output.stderr).contains("hunter2"));

    let db = store::connect(&deployment.config(&[]).database).await.unwrap();
    let name = url.rsplit('/').next().unwrap();
    // Like a server on which the extension is not installed.
    db.execute_unprepared(&format!("alter database {name} set extension_control_path = '/nowhere'")).await.unwrap();
    assert_both_fail(&deployment, &[], &["has no pgvector", "postgresql-18-pgvector", "NVISY_DATABASE_URL"]).await;
    db.execute_unprepared(&format!("alter database {name} reset extension_control_path")).await.unwrap();

    let role = format!("{name}_guest");
    db.execute_unprepared(&format!("create role {role} login password 'guest'")).await.unwrap();
    let guest = url.replace("postgres:postgres@", &format!("{role}:guest@"));
    assert_both_fail(
        &deployment,
        &[("NVISY_DATABASE_URL", &guest)],
        &["user of NVISY_DATABASE_URL may not", "create extension"],
    )
    .await;
    db.execute_unprepared(&format!("drop role {role}")).await.unwrap();

    // The failed starts created no tables.
    let tables = "select count(*) as n from pg_tables where schemaname = 'public'";
    let tables: i64 = db.query_one_raw(store::statement(tables)).await.unwrap().unwrap().try_get("", "n").unwrap();
    assert_eq!(tables, 0);
    db.close().await.unwrap();
    deployment.close().await;
}

#[actix_web::test]
async fn unusable_nats_is_named() {
    let deployment = deployment_with_keys().await;
    assert_both_fail(
        &deployment,
        &[("NVISY_NATS_URL", &format!("nats://127.0.0.1:{}", free_port()))],
        &["NATS cannot be reached: NVISY_NATS_URL"],
    )
    .await;

    let plain = TestNats::start("");
    assert_both_fail(&deployment, &[("NVISY_NATS_URL", &plain.url)], &["without JetStream", "nats/server.conf"]).await;

    let small = TestNats::start("jetstream { store_dir: \"{dir}\", max_file_store: 1MB }");
    assert_both_fail(&deployment, &[("NVISY_NATS_URL", &small.url)], &["JetStream has no room", "max_file_store"])
        .await;

    let narrow = TestNats::start("max_payload: 64KB\njetstream { store_dir: \"{dir}\", max_file_store: 1GB }");
    assert_both_fail(
        &deployment,
        &[("NVISY_NATS_URL", &narrow.url)],
        &["messages of at most 65536 bytes", "max_payload"],
    )
    .await;

    let locked = TestNats::start("authorization { token: secret }\njetstream { store_dir: \"{dir}\" }");
    assert_both_fail(&deployment, &[("NVISY_NATS_URL", &locked.url)], &["NATS cannot be reached", "token"]).await;
    deployment.close().await;
}

#[actix_web::test]
async fn port_in_use_is_named() {
    let deployment = deployment_with_keys().await;
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let api = run("nvisy-api", &[], &deployment, &[("NVISY_HTTP_ADDRESS", &address)]).await;
    assert_single_error(&api, &[&address, "cannot be listened on", "NVISY_HTTP_ADDRESS"]);
    let worker = run("nvisy-worker", &[], &deployment, &[("NVISY_WORKER_HEALTH_ADDRESS", &address)]).await;
    assert_single_error(&worker, &[&address, "cannot be listened on", "NVISY_WORKER_HEALTH_ADDRESS"]);
    deployment.close().await;
}

#[actix_web::test]
async fn missing_model_is_named() {
    let deployment = deployment_with_keys().await;
    let empty = tempfile::tempdir().unwrap();
    let directory = empty.path().display().to_string();
    let settings = [("NVISY_EMBEDDING_PROVIDER", "local"), ("NVISY_EMBEDDING_DIRECTORY", directory.as_str())];
    assert_both_fail(
        &deployment,
        &settings,
        &["embedding model cannot be opened", "NVISY_EMBEDDING_DIRECTORY", &directory],
    )
    .await;
    deployment.close().await;
}

#[actix_web::test]
async fn missing_temporary_directory_is_named() {
    let deployment = deployment_with_keys().await;
    let worker = Command::new(program("nvisy-worker"))
        .env_clear()
        .envs(deployment.variables(&[("NVISY_LOG_FILTER", "off")]))
        .env("TMPDIR", "/nowhere")
        .stdin(Stdio::null())
        .output();
    assert_single_error(&worker.await.unwrap(), &["no temporary file can be made in /nowhere", "TMPDIR"]);
    deployment.close().await;
}

#[actix_web::test]
async fn missing_certificates_are_named() {
    let deployment = deployment_with_keys().await;
    let file = |name: &str| deployment.keys().path(name).display().to_string();
    let (chain, key) = (file("chain.pem"), file("key.pem"));
    let settings = [("NVISY_HTTP_TLS_CERTIFICATE_FILE", chain.as_str()), ("NVISY_HTTP_TLS_KEY_FILE", key.as_str())];
    assert_single_error(
        &run("nvisy-api", &[], &deployment, &settings[..1]).await,
        &["NVISY_HTTP_TLS_KEY_FILE must be set"],
    );
    assert_single_error(
        &run("nvisy-api", &[], &deployment, &settings).await,
        &[&chain, "NVISY_HTTP_TLS_CERTIFICATE_FILE"],
    );
    deployment.close().await;
}

#[actix_web::test]
async fn key_files_are_created_once_and_private() {
    let deployment = TestDeployment::new().await;
    let keys = async |more: &[&str]| run("nvisy-api", &[&["keys"], more].concat(), &deployment, &[]).await;
    let read = |name: &str| fs::read(deployment.keys().path(name)).unwrap();
    assert!(keys(&[]).await.status.success());
    let first = read("private.pem");
    for name in ["private.pem", "public.pem", "encryption.key"] {
        assert_eq!(fs::metadata(deployment.keys().path(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let again = keys(&[]).await;
    assert!(again.status.success() && again.stdout.is_empty(), "{}", text(&again.stdout));
    assert_eq!(read("private.pem"), first);
    assert!(keys(&["--force"]).await.status.success());
    assert_ne!(read("private.pem"), first);
    deployment.close().await;
}
