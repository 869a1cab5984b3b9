//! Connections that results are written to, whatever the system: their kinds and their secrets.

use reqwest::Method;
use serde_json::json;

use crate::{
    support::{
        Setup, TestApp, VectorServer, definition, program_command, send,
        targets::{check, chunks_into, connect, text, vectors_into},
    },
    table_targets::postgres_settings,
};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");

#[actix_web::test]
async fn pipeline_with_a_connection_of_another_kind_is_not_enabled() {
    let setup = Setup::of(TestApp::start().await).await;
    let settings = json!({ "baseUrl": "http://127.0.0.1:9" });
    let store = connect(&setup, "qdrant", settings, json!({ "apiKey": "hunter2-key" })).await;
    let model = connect(&setup, "openai", json!({ "model": "m" }), json!({ "apiKey": "hunter2-key" })).await;
    let title = json!([
        { "id": "in", "type": "source.files" }, { "id": "read", "type": "partition" },
        { "id": "title", "type": "title", "connection": store }, { "id": "out", "type": "sink.file", "suffix": ".txt" },
    ]);
    let title = definition(&title, &["in > read", "read > title", "title > out"]);
    for (definition, node, provider) in
        [(title, "title", "qdrant"), (chunks_into(&model, "documents"), "out", "openai")]
    {
        let path = setup.path("pipelines");
        let body = json!({ "definition": definition });
        let validated = setup.app.post(&setup.ada, &format!("{path}/validate"), &body).await.expect(200);
        let problem = &validated["notRunnable"][0];
        assert_eq!((&problem["code"], &problem["node"]), (&json!("wrong_provider"), &json!(node)), "{validated}");
        assert!(problem["message"].as_str().unwrap().contains(provider), "{validated}");
        let body = json!({ "name": node, "definition": definition });
        let created = setup.app.post(&setup.ada, &path, &body).await.expect(201);
        let path = format!("{path}/{}", created["id"].as_str().unwrap());
        let enabled = setup.app.patch(&setup.ada, &path, &json!({ "state": "enabled" })).await;
        enabled.problem(409, "pipeline_not_runnable");
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn planted_secrets_are_in_no_log_no_row_and_no_response() {
    const PLANTED: &str = "hunter2-planted";
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let output = || std::process::Stdio::from(log.reopen().unwrap());
    let settings = [LOCAL, ("NVISY_LOG_FILTER", "debug"), ("NVISY_LOG_FORMAT", "json")];
    let mut worker = program_command("nvisy-worker", &setup.app.deployment, &settings);
    let worker = worker.stdout(output()).stderr(output()).spawn().unwrap();

    let server = VectorServer::start(PLANTED, 384).await;
    let store = connect(&setup, "qdrant", json!({ "baseUrl": server.url }), json!({ "apiKey": PLANTED })).await;
    let (mut settings, mut credentials) = postgres_settings(&setup);
    credentials["password"] = PLANTED.into();
    let wrong = connect(&setup, "postgresql", settings.take(), credentials).await;
    let mut seen = String::new();
    let (state, steps) = check(&setup, &store).await;
    assert_eq!(state, "ok", "{steps:?}");
    let (state, steps) = check(&setup, &wrong).await;
    assert!(state == "failed" && steps.len() == 2, "{steps:?}");
    seen += &format!("{steps:?}");
    // Servers that quote the key in every kind of failure, one of which fails the file.
    let quoting = json!({ "status": { "error": format!("the key {PLANTED} cannot do that") } });
    server.fail(1, 401, &quoting);
    let (_, steps) = check(&setup, &store).await;
    assert!(steps[1].1.contains("[hidden] cannot do that"), "{steps:?}");
    seen += &format!("{steps:?}");
    setup.pipeline("Out", &vectors_into(&store, "documents")).await;
    server.fail(1, 400, &quoting);
    server.fail(1, 500, &quoting);
    let files = setup.upload(&[("a.txt", &text("a", 3))]).await;
    assert_eq!(files["a.txt"]["failure"]["code"], "provider_rejected", "{files:?}");
    seen += &format!("{files:?}");
    for path in ["connections", "activity", "pipelines", "runs"] {
        let request = setup.app.request(Method::GET, &setup.path(path)).bearer_auth(&setup.ada.token);
        seen += &send(request).await.text;
    }
    assert!(seen.contains("qdrant") && !seen.contains(PLANTED), "a response has a secret");

    drop(worker);
    let logged = std::fs::read_to_string(log.path()).unwrap();
    assert!(logged.lines().count() > 20 && logged.contains("\"DEBUG\""), "{} lines", logged.lines().count());
    let leaked: Vec<_> = logged.lines().filter(|line| line.contains(PLANTED)).collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
    let tables = "select table_name::text from information_schema.tables where table_schema = current_schema()";
    let tables: Vec<String> =
        setup.app.rows(tables).await.iter().map(|row| row.try_get("", "table_name").unwrap()).collect();
    assert!(tables.len() > 40, "{tables:?}");
    for table in tables {
        let rows = setup.app.count(&format!("\"{table}\" as t where t::text like '%{PLANTED}%'")).await;
        assert_eq!(rows, 0, "table {table} has a secret");
    }
    setup.app.stop_and_drop_jobs().await;
}
