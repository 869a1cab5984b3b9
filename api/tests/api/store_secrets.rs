//! Secrets of stores: no log, no row and no response has one, also when servers quote them.

use std::{fs, process::Stdio};

use reqwest::Method;
use serde_json::json;

use crate::support::{
    Setup, TestApp,
    object_store::SeaweedFs,
    program_command, send,
    targets::{check, connect},
    web_server::{WebResponse, WebServer},
};

/// In each planted secret, also where it must be Base64.
const PLANTED: &str = "hunter2planted";

/// An Azure service that accepts nothing, and quotes what it gets.
async fn quoting_azure() -> WebServer {
    let server = WebServer::start().await;
    server.respond(|request| {
        let signature = request.parameter("sig").unwrap_or_default();
        let quoted = format!("{signature} in {} and {}", request.target, request.header("authorization"));
        let body = format!("<Error><Code>AuthenticationFailed</Code><Message>no access for {quoted}</Message></Error>");
        Some(WebResponse::new(403, "application/xml", body))
    });
    server
}

#[actix_web::test]
async fn planted_secrets_of_stores_are_in_no_log_no_row_and_no_response() {
    let setup = Setup::of(TestApp::start().await).await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let output = || Stdio::from(log.reopen().unwrap());
    let settings = [("NVISY_LOG_FILTER", "debug"), ("NVISY_LOG_FORMAT", "json")];
    let mut worker = program_command("nvisy-worker", &setup.app.deployment, &settings);
    let worker = worker.stdout(output()).stderr(output()).spawn().unwrap();

    let (azure, weed) = futures::future::join(quoting_azure(), SeaweedFs::start()).await;
    let azure = json!({ "account": "devstoreaccount1", "container": "docs", "endpoint": azure.url });
    let pem = |kind: &str| format!("-----BEGIN {kind}-----\n{PLANTED}\n-----END {kind}-----\n");
    let account = json!({
        "type": "service_account", "client_email": "reader@example.org", "private_key": pem("PRIVATE KEY"),
    });
    let mut seen = String::new();
    for (provider, settings, credentials) in [
        // 24 characters, as Base64 has them.
        ("azure_blob", azure.clone(), json!({ "accountKey": format!("{PLANTED}AccountKey") })),
        ("azure_blob", azure, json!({ "sasToken": format!("?sv=2021-08-06&sp=rl&sig={PLANTED}%2Fsas%3D") })),
        (
            "sftp",
            weed.sftp_settings(),
            json!({
                "username": "nvisy", "privateKey": pem("OPENSSH PRIVATE KEY"),
                "passphrase": format!("{PLANTED}-passphrase"),
            }),
        ),
        ("gcs", json!({ "bucket": "docs", "endpoint": "http://127.0.0.1:9" }), json!({ "serviceAccount": account })),
    ] {
        let connection = connect(&setup, provider, settings, credentials).await;
        let (state, steps) = check(&setup, &connection).await;
        assert_eq!(state, "failed", "{provider}: {steps:?}");
        let path = setup.path(&format!("connections/{connection}"));
        let request = setup.app.request(Method::GET, &path).bearer_auth(&setup.ada.token);
        seen += &format!("{steps:?} {}", send(request).await.text);
        assert_eq!(setup.app.delete(&setup.ada, &path).await.status, 204);
    }
    let request = setup.app.request(Method::GET, &setup.path("activity")).bearer_auth(&setup.ada.token);
    seen += &send(request).await.text;
    assert!(seen.contains("no access for [hidden]"), "{seen}");
    assert!(!seen.contains(PLANTED), "a response has a secret: {}", seen.replace(PLANTED, "***"));

    drop(worker);
    let logged = fs::read_to_string(log.path()).unwrap();
    assert!(logged.lines().count() > 20 && logged.contains("\"DEBUG\""), "{} lines", logged.lines().count());
    let leaked = logged.lines().filter(|line| line.contains(PLANTED)).map(|line| line.replace(PLANTED, "***"));
    let leaked: Vec<_> = leaked.collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
    let tables = "select table_name::text from information_schema.tables where table_schema = current_schema()";
    for row in setup.app.rows(tables).await {
        let table: String = row.try_get("", "table_name").unwrap();
        let rows = setup.app.count(&format!("\"{table}\" as t where t::text like '%{PLANTED}%'")).await;
        assert_eq!(rows, 0, "table {table} has a secret");
    }
    setup.app.stop_and_drop_jobs().await;
}
