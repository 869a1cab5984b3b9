//! The examples of `docs/SYNC.md`: its tutorial step by step, and how systems notify of changes.

use serde_json::{Value, json};

use crate::{
    connection_rows::postgres,
    source_notifications::Notifier,
    support::{
        QuickWorker, Setup, TestApp, definition,
        documented::{ExampleRequest, Examples, with},
        hit_names,
        object_store::{READER_KEY, SECRET_KEY, SeaweedFs},
        wait_until,
    },
};

const TUTORIAL: &str = "Tutorial: from an S3 bucket to search, kept in step";
const NOTIFY: &str = "NOTIFY of PostgreSQL";
const LEASE: &str = "# Lease\n\nThe termination clause allows an end with the year.\n";
const PRICES: &str = "# Prices\n\nA rotor costs nine crowns; its warranty ends by termination.\n";

/// The run that a request starts, once it has ended.
async fn ended_run(setup: &Setup, start: &ExampleRequest, read: &ExampleRequest) -> Value {
    let started = setup.answered_example(start).await;
    let read = read.with(&[("RUN", started["id"].as_str().unwrap())]);
    wait_until("the run has ended", async || {
        let run = setup.answered_example(&read).await;
        run["finishedAt"].is_string().then_some(run)
    })
    .await
}

/// Fails unless state and counts are those that the document prints.
fn assert_is_printed(run: &Value, printed: &Value) {
    assert_eq!((&run["state"], &run["sync"]), (&printed["state"], &printed["sync"]), "{run}");
}

/// The texts of the hits of a search, by the names of their files.
async fn found(setup: &Setup, search: &ExampleRequest) -> Vec<(String, String)> {
    let found = setup.answered_example(search).await;
    let texts = found["hits"].as_array().unwrap().iter().map(|hit| hit["snippet"]["text"].as_str().unwrap().to_owned());
    hit_names(&found).into_iter().map(str::to_owned).zip(texts).collect()
}

/// Follows the steps of the tutorial; returns the id of the connection, and the search.
async fn follow_tutorial(setup: &Setup, examples: &mut Examples, store: &SeaweedFs) -> (String, ExampleRequest) {
    let [create, check, discover]: [ExampleRequest; 3] =
        examples.requests(TUTORIAL).try_into().expect("three requests");
    // The key may list and read only.
    let credentials = json!({ "accessKeyId": READER_KEY, "secretAccessKey": SECRET_KEY });
    let address = json!({ "endpoint": store.s3 });
    let connection = setup.connect_example(&create.body, &address, &credentials).await;
    let checked = setup.answered_example(&check.with(&[("ID", &connection)])).await;
    assert_eq!(checked["check"]["state"], "ok", "{checked}");
    let streams = setup.answered_example(&discover.with(&[("ID", &connection)])).await;
    assert!(streams.to_string().contains("contracts"), "{streams}");

    let [create, enable]: [ExampleRequest; 2] = examples.requests(TUTORIAL).try_into().expect("two requests");
    let created = setup.answered_example(&create.with(&[("ID", &connection)])).await;
    let pipeline = [("PIPELINE", created["id"].as_str().unwrap())];
    setup.send_example(&enable.with(&pipeline)).await;
    // The schedule begins no sync of its own in between.
    setup
        .app
        .sql("update pipeline set next_run_at = next_run_at + interval '1 day' where next_run_at is not null")
        .await;

    let [dry_run, start, read]: [ExampleRequest; 3] = examples.requests(TUTORIAL).try_into().expect("three requests");
    let printed = examples.json(TUTORIAL);
    let mut of_dry_run = printed.clone();
    of_dry_run["sync"]["dryRun"] = json!(true);
    assert_is_printed(&ended_run(setup, &dry_run.with(&pipeline), &read).await, &of_dry_run);
    assert_is_printed(&ended_run(setup, &start.with(&pipeline), &read).await, &printed);

    let [search]: [ExampleRequest; 1] = examples.requests(TUTORIAL).try_into().expect("a request");
    let before = found(setup, &search).await;
    assert!(before[0].0 == "lease.md" && before[0].1.contains("with the year"), "{before:?}");
    assert!(before.iter().any(|(name, _)| name == "prices.md"), "{before:?}");

    store.put("contracts/lease.md", LEASE.replace("with the year", "within a month")).await;
    store.delete("contracts/prices.md").await;
    let [start, search]: [ExampleRequest; 2] = examples.requests(TUTORIAL).try_into().expect("two requests");
    assert_is_printed(&ended_run(setup, &start.with(&pipeline), &read).await, &examples.json(TUTORIAL));
    let after = found(setup, &search).await;
    assert!(after[0].0 == "lease.md" && after[0].1.contains("within a month"), "{after:?}");
    assert!(after.iter().all(|(name, text)| name != "prices.md" && !text.contains("with the year")), "{after:?}");
    (connection, search)
}

/// Makes a row searchable by `NOTIFY` alone.
async fn follow_notify(setup: &Setup, examples: &mut Examples) {
    let table =
        "create table articles (id bigint primary key, body text, updated_at timestamptz default clock_timestamp())";
    setup.app.sql(table).await;
    setup.app.sql("insert into articles (id, body) values (1, 'The harbour wakes.')").await;
    setup.app.sql(&examples.sql(NOTIFY)).await;
    let connection = postgres(setup).await;
    let nodes = json!([
        with(&examples.json(NOTIFY), &[("ID", &connection)]),
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "out", "type": "sink.collection", "collection": "default" },
    ]);
    let pipeline = setup.pipeline("Articles", &definition(&nodes, &["in > read", "read > cut", "cut > out"])).await;
    // The beginning of listening starts a sync; the row comes after it.
    wait_until("the first sync has ended", async || {
        let runs = setup.get(&format!("runs?pipeline={}", pipeline.trim_start_matches("pipelines/"))).await;
        runs["items"][0]["finishedAt"].as_str().map(str::to_owned)
    })
    .await;
    setup.app.sql("insert into articles (id, body) values (7, 'Limpets graze at night.')").await;
    let body = json!({ "query": "limpets", "mode": "text" });
    wait_until("the new row is found", async || {
        let found = setup.app.post(&setup.ada, &setup.path("search"), &body).await.expect(200);
        (!hit_names(&found).is_empty()).then_some(())
    })
    .await;
    setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
    let ended = async || (setup.app.count("source_listener").await == 0).then_some(());
    wait_until("no worker listens", ended).await;
}

#[actix_web::test]
async fn tutorial_and_notifications_of_the_document_keep_search_in_step() {
    let store = SeaweedFs::start().await;
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/demo/operations-manual.pdf");
    store.put("contracts/manual.pdf", std::fs::read(manual).unwrap()).await;
    store.put("contracts/lease.md", LEASE).await;
    store.put("contracts/prices.md", PRICES).await;
    let setup = Setup::of(TestApp::start_with(&[("NVISY_EMBEDDING_PROVIDER", "local")]).await).await;
    let worker = QuickWorker::start(&setup.app).await;
    let mut examples = Examples::of("SYNC.md");
    let (connection, search) = follow_tutorial(&setup, &mut examples, &store).await;

    let [access]: [ExampleRequest; 1] = examples.requests("Notifications").try_into().expect("a request");
    let access = setup.answered_example(&access.with(&[("ID", &connection)])).await;
    store.put("contracts/lease.md", LEASE.replace("with the year", "at any time")).await;
    Notifier::with_access(&setup.app, &access).notify(&examples.json("Notifications")).await;
    wait_until("the named object is in step", async || {
        found(&setup, &search).await.iter().any(|(_, text)| text.contains("at any time")).then_some(())
    })
    .await;
    follow_notify(&setup, &mut examples).await;
    examples.finish();
    setup.app.wait_until_no_jobs_are_left().await;
    worker.stop().await;
    setup.app.stop().await;
}
