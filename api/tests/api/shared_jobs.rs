//! Items of a run that share jobs: each has its own outcome, and its effects happen once.

use serde_json::{Value, json};

use crate::{
    connection_rows,
    support::{Setup, TestApp, definition, part, spawn, wait_until},
};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");
const LEASE: (&str, &str) = ("NVISY_QUEUE_LEASE_SECONDS", "2");

/// Copies files, and blocks those of which the name begins with `bad`.
fn copies() -> Value {
    definition(
        &json!([
            { "id": "in", "type": "source.files", "trigger": "manual" },
            { "id": "check", "type": "check", "expression": "!file.name.startsWith('bad')", "severity": "block",
              "message": "the name is bad" },
            { "id": "out", "type": "sink.file", "suffix": ".copy" },
        ]),
        &["in > check", "check > out"],
    )
}

async fn upload(setup: &Setup, names: &[String]) {
    for names in names.chunks(100) {
        let parts = names.iter().map(|name| part(name, format!("The file {name}."))).collect();
        setup.app.upload(&setup.ada, &setup.workspace, parts).await.expect(202);
    }
    setup.app.wait_until_no_jobs_are_left().await;
}

#[actix_web::test]
async fn item_that_fails_leaves_the_others_of_its_job_done() {
    let setup = Setup::with_worker().await;
    let names: Vec<String> =
        (0..70).map(|n| format!("{}{n:02}.txt", if n % 20 == 3 { "bad" } else { "good" })).collect();
    upload(&setup, &names).await;
    let pipeline = setup.pipeline("Copies", &copies()).await;
    let run = setup.start_run(&pipeline).await;
    let ended = setup.ended_run(&run).await;
    assert_eq!(ended["state"], "completed_with_errors", "{ended}");
    let failed = setup.get(&format!("{run}/items?state=failed&limit=100")).await;
    let failed = failed["items"].as_array().unwrap();
    assert_eq!(failed.len(), 4, "{failed:?}");
    assert!(failed.iter().all(|item| item["failure"]["code"] == "check_failed"), "{failed:?}");
    let good: Vec<String> =
        names.iter().filter(|name| name.starts_with("good")).map(|name| format!("{name}.copy")).collect();
    assert_eq!(setup.derived_names().await, good);
    let done = setup.get(&format!("{run}/items?state=done&limit=100")).await;
    assert_eq!(done["items"].as_array().unwrap().len(), good.len());
    setup.app.stop().await;
}

#[actix_web::test]
async fn objects_of_a_sync_share_jobs() {
    let setup = Setup::with_worker().await;
    setup.app.log_added_jobs().await;
    setup
        .app
        .sql(
            "create schema outside; create table outside.notes (id bigint primary key, body text);
             insert into outside.notes select n, 'note ' || n from generate_series(1, 200) n",
        )
        .await;
    let connection = connection_rows::postgres(&setup).await;
    let nodes = json!([
        { "id": "in", "type": "source.connection", "connection": connection,
          "stream": { "table": "outside.notes", "key": "id" } },
        { "id": "all", "type": "filter", "expression": "file.size > 0" },
        { "id": "out", "type": "sink.file", "suffix": ".copy" },
    ]);
    let pipeline = setup.pipeline("Rows", &definition(&nodes, &["in > all", "all > out"])).await;
    let run = connection_rows::sync(&setup, &pipeline).await;
    assert_eq!((&run["state"], &run["items"]), (&json!("completed"), &json!(200)), "{run}");
    assert_eq!(setup.derived_names().await.len(), 200);
    // The number of jobs of one item each is not certain: the others of a slow item get such jobs.
    assert_eq!(setup.app.count("added_job where kind = 'run.items'").await, 7);
    // What jobs write together, they write of each file once.
    for kind in ["file.queued", "file.ready"] {
        let files = format!("(select distinct subject_id from event where type = '{kind}') files");
        assert_eq!(setup.app.count(&files).await, 200, "{kind}");
        assert_eq!(setup.app.count(&format!("event where type = '{kind}'")).await, 200, "{kind}");
    }
    assert_eq!(
        setup.app.count("run_item where state = 'done' and done = total and finished_at is not null").await,
        200
    );
    let read = "file f join file_version v on v.id = f.live_version_id where f.parent_id is null";
    assert_eq!(setup.app.count(&format!("{read} and v.state = 'ready' and v.chunk_count = 0")).await, 200);
    assert_eq!(setup.app.count("source_object where file_id is not null and revision is not null").await, 200);
    setup.app.stop().await;
}

/// Runs a pipeline over files while workers are killed: each is copied once.
async fn assert_copied_once(files: usize, definition: &Value) {
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    let names: Vec<String> = (0..files).map(|n| format!("good{n:03}.txt")).collect();
    upload(&setup, &names).await;
    let pipeline = setup.pipeline("Copies", definition).await;
    let run = setup.start_run(&pipeline).await;
    for round in 1..=4 {
        let mut worker = spawn("nvisy-worker", &setup.app.deployment, &[LOCAL, LEASE]);
        let enough = (files * round / 6) as i64;
        wait_until("some files are copied", async || {
            (setup.app.count("file where parent_id is not null").await >= enough).then_some(())
        })
        .await;
        worker.kill().await.expect("a killed worker");
    }
    let worker = spawn("nvisy-worker", &setup.app.deployment, &[LOCAL, LEASE]);
    let ended = setup.ended_run(&run).await;
    assert_eq!((&ended["state"], &ended["items"]), (&json!("completed"), &json!(files)), "{ended}");
    setup.app.wait_until_no_jobs_are_left().await;
    assert_eq!(setup.app.count("dead_job").await, 0);
    let expected: Vec<String> = names.iter().map(|name| format!("{name}.copy")).collect();
    assert_eq!(setup.derived_names().await, expected);
    drop(worker);
    setup.app.stop().await;
}

#[actix_web::test]
async fn every_file_is_copied_once_when_workers_are_killed() {
    assert_copied_once(600, &copies()).await;
}

/// Reading takes longer than items of a job wait for each other.
#[actix_web::test]
async fn every_slow_file_is_copied_once_when_workers_are_killed() {
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "manual" }, { "id": "read", "type": "partition" },
        { "id": "out", "type": "sink.file", "suffix": ".copy" },
    ]);
    assert_copied_once(100, &definition(&nodes, &["in > read", "read > out"])).await;
}
