//! What keeps a program from starting is one sentence that names the setting or the service and says what to do, and a
//! status that is not zero; never a panic, and nothing is served.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    process::{Output, Stdio},
    time::Duration,
};

use nvisy_api::command;
use nvisy_shared::{
    store::{self, Conn},
    testing::{TestNats, TestPlace},
};
use tokio::process::Command;

use crate::support::app::{TestApp, program};

const BOTH: [&str; 2] = ["nvisy-api", "nvisy-worker"];

/// A program of this place, run to its end.
pub async fn run(name: &str, arguments: &[&str], place: &TestPlace, settings: &[(&str, &str)]) -> Output {
    let child = Command::new(program(name))
        .args(arguments)
        .env_clear()
        .envs(place.variables(&[&[("NVISY_LOG_FILTER", "off")], settings].concat()))
        .current_dir(place.keys().folder())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(Duration::from_secs(120), child).await;
    ended.unwrap_or_else(|_| panic!("{name} {arguments:?} went on")).expect("a started program")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The one sentence, which has all these parts.
#[track_caller]
pub fn refused(output: &Output, parts: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for part in parts {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
}

/// Both programs refuse to start, with this in their sentence.
async fn both_refuse(place: &TestPlace, settings: &[(&str, &str)], parts: &[&str]) {
    for name in BOTH {
        refused(&run(name, &[], place, settings).await, parts);
    }
}

async fn place() -> TestPlace {
    let place = TestPlace::new().await;
    command::keys(place.keys().folder(), false).expect("fresh keys");
    place
}

#[actix_web::test]
async fn invalid_settings_are_named() {
    let place = place().await;
    both_refuse(&place, &[("NVISY_HTTP_ADDRES", "x")], &["NVISY_HTTP_ADDRES is not a setting"]).await;
    both_refuse(&place, &[("NVISY_HTTP_WORKERS", "two")], &["NVISY_HTTP_WORKERS has a value that is not"]).await;
    both_refuse(
        &place,
        &[("NVISY_DATABASE_URL", "db")],
        &["NVISY_DATABASE_URL has a value that is not a PostgreSQL URL"],
    )
    .await;
    both_refuse(
        &place,
        &[("NVISY_DATABASE_URL", ""), ("NVISY_DATABASE_URL_FILE", "/nowhere/url")],
        &["NVISY_DATABASE_URL_FILE names /nowhere/url, which cannot be read"],
    )
    .await;
    both_refuse(&place, &[("NVISY_EMBEDDING_MODEL", "")], &["NVISY_EMBEDDING_MODEL must be set"]).await;
    let both = [("NVISY_HTTP_WORKERS", "0"), ("NVISY_LOG_FORMAT", "xml")];
    let said = text(&run("nvisy-api", &[], &place, &both).await.stderr);
    assert_eq!(said.lines().count(), 2, "every mistake is a line: {said}");
    place.close().await;
}

#[actix_web::test]
async fn config_command_shows_each_value_and_its_source() {
    let place = place().await;
    let file = place.keys().path("nats-url");
    let url = place.config(&[]).nats.url.expose().replace("nats://", "nats://hunter2@");
    fs::write(&file, format!("{url}\n")).unwrap();
    fs::write(place.keys().path(".env"), "NVISY_QUEUE_ATTEMPTS=9\nNVISY_HTTP_WORKERS=9\n").unwrap();
    let settings =
        [("NVISY_NATS_URL", ""), ("NVISY_NATS_URL_FILE", file.to_str().unwrap()), ("NVISY_HTTP_WORKERS", "3")];
    for name in BOTH {
        let output = run(name, &["config"], &place, &settings).await;
        let said = text(&output.stdout);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let line = |name: &str| said.lines().find(|line| line.starts_with(name)).expect("every setting").to_owned();
        assert!(line("NVISY_QUEUE_ATTEMPTS=9 ").ends_with("# .env"), "{said}");
        assert!(line("NVISY_HTTP_WORKERS=3 ").ends_with("# environment"), "{said}");
        assert!(line("NVISY_NATS_URL=nats://[hidden]@").ends_with(&format!("# file {}", file.display())), "{said}");
        assert!(line("NVISY_HTTP_JSON_BYTES=").ends_with("# default"), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("postgres:postgres"), "{said}");
        let wrong = run(name, &["config"], &place, &[("NVISY_HTTP_WORKERS", "0")]).await;
        assert_eq!(wrong.status.code(), Some(1));
        assert!(text(&wrong.stderr).contains("NVISY_HTTP_WORKERS"), "{}", text(&wrong.stderr));
    }
    fs::write(place.keys().path(".env"), "NVISY_HTTP_WORKERS=4\nthis is hunter2\n").unwrap();
    let broken = run("nvisy-api", &[], &place, &[]).await;
    refused(&broken, &[".env has a line that is not NAME=value"]);
    assert!(!text(&broken.stderr).contains("hunter2"));
    place.close().await;
}

#[actix_web::test]
async fn missing_and_broken_key_files_are_named() {
    let place = place().await;
    let path = |name: &str| place.keys().path(name);
    let [encryption, private, public] = ["encryption.key", "private.pem", "public.pem"].map(path);
    both_refuse(
        &place,
        &[("NVISY_ENCRYPTION_KEY_FILE", "/nowhere/key")],
        &["NVISY_ENCRYPTION_KEY_FILE must name", "/nowhere/key", "nvisy-api keys"],
    )
    .await;
    let good = fs::read(&encryption).unwrap();
    fs::write(&encryption, &good[..31]).unwrap();
    both_refuse(&place, &[], &["NVISY_ENCRYPTION_KEY_FILE", "32 raw bytes", "has 31"]).await;
    fs::write(&encryption, &good).unwrap();

    let api = async |settings: &[(&str, &str)]| run("nvisy-api", &[], &place, settings).await;
    refused(
        &api(&[("NVISY_AUTH_PRIVATE_KEY_FILE", "/nowhere/pem")]).await,
        &["/nowhere/pem cannot be read", "nvisy-api keys"],
    );
    let own = fs::read(&public).unwrap();
    let other = tempfile::tempdir().unwrap();
    command::keys(other.path(), false).unwrap();
    fs::copy(other.path().join("public.pem"), &public).unwrap();
    refused(&api(&[]).await, &["public.pem is not the public key of", "private.pem", "NVISY_AUTH_PUBLIC_KEY_FILE"]);
    fs::write(&public, own).unwrap();
    fs::write(&private, "-----BEGIN NONSENSE-----").unwrap();
    refused(&api(&[]).await, &["private.pem is not an Ed25519 key", "NVISY_AUTH_PRIVATE_KEY_FILE"]);
    place.close().await;
}

#[actix_web::test]
async fn keys_of_another_installation_are_rejected() {
    let app = TestApp::start().await;
    let other = tempfile::tempdir().unwrap();
    command::keys(other.path(), false).unwrap();
    let file = |name: &str| other.path().join(name).display().to_string();

    let encryption = file("encryption.key");
    let setting = [("NVISY_ENCRYPTION_KEY_FILE", encryption.as_str())];
    both_refuse(&app.place, &setting, &[&encryption, "does not belong to this database", "NVISY_DATABASE_URL"]).await;

    let (private, public) = (file("private.pem"), file("public.pem"));
    let pair = [("NVISY_AUTH_PRIVATE_KEY_FILE", private.as_str()), ("NVISY_AUTH_PUBLIC_KEY_FILE", public.as_str())];
    let stranger = run("nvisy-api", &[], &app.place, &pair).await;
    refused(&stranger, &[&private, "does not belong to this database", "adopt-signing-keys"]);
    let adopted = run("nvisy-api", &["adopt-signing-keys"], &app.place, &pair).await;
    assert!(adopted.status.success(), "{}", text(&adopted.stderr));
    refused(&run("nvisy-api", &[], &app.place, &[]).await, &["private.pem does not belong to this database"]);
    let doctor = text(&run("nvisy-api", &["doctor"], &app.place, &pair).await.stdout);
    assert!(doctor.lines().any(|line| line.starts_with("signing keys") && line.contains(" ok ")), "{doctor}");
    app.stop().await;
}

#[actix_web::test]
async fn unusable_postgres_is_named() {
    let place = TestPlace::empty().await;
    command::keys(place.keys().folder(), false).unwrap();
    let url = place.config(&[]).database.url.expose().clone();
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    let away = format!("postgres://postgres:postgres@{nobody}/postgres");
    both_refuse(&place, &[("NVISY_DATABASE_URL", &away)], &["PostgreSQL cannot be reached: NVISY_DATABASE_URL"]).await;
    let wrong = url.replace("postgres:postgres@", "postgres:hunter2@");
    let output = run("nvisy-api", &[], &place, &[("NVISY_DATABASE_URL", &wrong)]).await;
    refused(&output, &["PostgreSQL cannot be reached: NVISY_DATABASE_URL", "password"]);
    assert!(!text(&output.stderr).contains("hunter2"));

    let db = store::connect(&place.config(&[]).database).await.unwrap();
    let name = url.rsplit('/').next().unwrap();
    // The extension's files cannot be found: a server on which it is not installed.
    db.execute_unprepared(&format!("alter database {name} set extension_control_path = '/nowhere'")).await.unwrap();
    both_refuse(&place, &[], &["has no pgvector", "postgresql-18-pgvector", "NVISY_DATABASE_URL"]).await;
    db.execute_unprepared(&format!("alter database {name} reset extension_control_path")).await.unwrap();

    let role = format!("{name}_guest");
    db.execute_unprepared(&format!("create role {role} login password 'guest'")).await.unwrap();
    let guest = url.replace("postgres:postgres@", &format!("{role}:guest@"));
    both_refuse(&place, &[("NVISY_DATABASE_URL", &guest)], &["user of NVISY_DATABASE_URL may not", "create extension"])
        .await;
    db.execute_unprepared(&format!("drop role {role}")).await.unwrap();

    // Nothing of it has left a trace.
    let tables = "select count(*) as n from pg_tables where schemaname = 'public'";
    let tables: i64 = db.query_one_raw(store::statement(tables)).await.unwrap().unwrap().try_get("", "n").unwrap();
    assert_eq!(tables, 0);
    db.close().await.unwrap();
    place.close().await;
}

#[actix_web::test]
async fn unusable_nats_is_named() {
    let place = place().await;
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    both_refuse(
        &place,
        &[("NVISY_NATS_URL", &format!("nats://{nobody}"))],
        &["NATS cannot be reached: NVISY_NATS_URL"],
    )
    .await;

    let plain = TestNats::start("");
    both_refuse(&place, &[("NVISY_NATS_URL", &plain.url)], &["without JetStream", "nats/server.conf"]).await;

    let small = TestNats::start("jetstream { store_dir: \"{dir}\", max_file_store: 1MB }");
    both_refuse(&place, &[("NVISY_NATS_URL", &small.url)], &["JetStream has no room", "max_file_store"]).await;

    let narrow = TestNats::start("max_payload: 64KB\njetstream { store_dir: \"{dir}\", max_file_store: 1GB }");
    both_refuse(&place, &[("NVISY_NATS_URL", &narrow.url)], &["messages of at most 65536 bytes", "max_payload"]).await;

    let locked = TestNats::start("authorization { token: secret }\njetstream { store_dir: \"{dir}\" }");
    both_refuse(&place, &[("NVISY_NATS_URL", &locked.url)], &["NATS cannot be reached", "token"]).await;
    place.close().await;
}

#[actix_web::test]
async fn port_in_use_is_named() {
    let place = place().await;
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let api = run("nvisy-api", &[], &place, &[("NVISY_HTTP_ADDRESS", &address)]).await;
    refused(&api, &[&address, "cannot be listened on", "NVISY_HTTP_ADDRESS"]);
    let worker = run("nvisy-worker", &[], &place, &[("NVISY_WORKER_HEALTH_ADDRESS", &address)]).await;
    refused(&worker, &[&address, "cannot be listened on", "NVISY_WORKER_HEALTH_ADDRESS"]);
    place.close().await;
}

#[actix_web::test]
async fn missing_model_is_named() {
    let place = place().await;
    let empty = tempfile::tempdir().unwrap();
    let directory = empty.path().display().to_string();
    let settings = [("NVISY_EMBEDDING_PROVIDER", "local"), ("NVISY_EMBEDDING_DIRECTORY", directory.as_str())];
    both_refuse(&place, &settings, &["embedding model cannot be opened", "NVISY_EMBEDDING_DIRECTORY", &directory])
        .await;
    place.close().await;
}

#[actix_web::test]
async fn missing_temporary_directory_is_named() {
    let place = place().await;
    let worker = Command::new(program("nvisy-worker"))
        .env_clear()
        .envs(place.variables(&[("NVISY_LOG_FILTER", "off")]))
        .env("TMPDIR", "/nowhere")
        .stdin(Stdio::null())
        .output();
    refused(&worker.await.unwrap(), &["no temporary file can be made in /nowhere", "TMPDIR"]);
    place.close().await;
}

#[actix_web::test]
async fn missing_certificates_are_named() {
    let place = place().await;
    let file = |name: &str| place.keys().path(name).display().to_string();
    let (chain, key) = (file("chain.pem"), file("key.pem"));
    let settings = [("NVISY_HTTP_TLS_CERTIFICATE_FILE", chain.as_str()), ("NVISY_HTTP_TLS_KEY_FILE", key.as_str())];
    refused(&run("nvisy-api", &[], &place, &settings[..1]).await, &["NVISY_HTTP_TLS_KEY_FILE must be set"]);
    refused(&run("nvisy-api", &[], &place, &settings).await, &[&chain, "NVISY_HTTP_TLS_CERTIFICATE_FILE"]);
    place.close().await;
}

#[actix_web::test]
async fn key_files_are_created_once_and_private() {
    let place = TestPlace::new().await;
    let keys = async |more: &[&str]| run("nvisy-api", &[&["keys"], more].concat(), &place, &[]).await;
    let read = |name: &str| fs::read(place.keys().path(name)).unwrap();
    assert!(keys(&[]).await.status.success());
    let first = read("private.pem");
    for name in ["private.pem", "public.pem", "encryption.key"] {
        assert_eq!(fs::metadata(place.keys().path(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let again = keys(&[]).await;
    assert!(again.status.success() && again.stdout.is_empty(), "{}", text(&again.stdout));
    assert_eq!(read("private.pem"), first);
    assert!(keys(&["--force"]).await.status.success());
    assert_ne!(read("private.pem"), first);
    place.close().await;
}
