//! APIs and workers of the version before, beside an API and workers of a new one: the work that they cannot do waits for a newer
//! worker, and spends nothing.

use serde_json::{Value, json};

use crate::support::{QuickWorker, Setup, TestApp, definition, part, wait_until};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");
/// Lets a job go on whose wait is longer than a test.
const WAKE: &str = "update job set run_at = now() where state = 'waiting'";

/// Gives a pipeline a node type that this version does not know.
async fn make_newer(setup: &Setup, pipeline: &str) {
    let sql = format!(
        "update pipeline_version set definition = replace(definition::text, '\"partition\"', '\"partition.next\"')::jsonb
         where pipeline_id in (select id from pipeline where name = '{pipeline}')"
    );
    setup.app.sql(&sql).await;
}

/// Gives all pipelines back the node type that this version knows.
async fn make_known(setup: &Setup) {
    let replaced = "replace(definition::text, '\"partition.next\"', '\"partition\"')::jsonb";
    setup.app.sql(&format!("update pipeline_version set definition = {replaced}")).await;
}

async fn wait_for_reason(setup: &Setup, file: &str) {
    let reason = wait_until("the file says why it waits", async || {
        let file = setup.app.file(&setup.ada, &setup.workspace, file).await;
        file["waiting"]["reason"].as_str().map(str::to_owned)
    })
    .await;
    assert!(reason.contains("a newer worker is required") && reason.contains("read"), "{reason}");
}

/// Indexes the words of the files of a source.
fn words(source: &Value) -> Value {
    let nodes = json!([
        source,
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "out", "type": "sink.collection" },
    ]);
    definition(&nodes, &["in > read", "read > cut", "cut > out"])
}

/// The only run with a trigger, once it has ended.
async fn ended_run(setup: &Setup, trigger: &str) -> Value {
    let path = format!("runs?trigger={trigger}");
    wait_until("the run has ended", async || {
        let runs = setup.get(&path).await["items"].as_array().unwrap().clone();
        runs.into_iter().next().filter(|run| run["finishedAt"].is_string())
    })
    .await
}

/// A workspace with one file whose job no worker has seen yet; returns the id of the file.
async fn upload() -> (Setup, String) {
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    setup.pipeline("Words", &words(&json!({ "id": "in", "type": "source.files", "trigger": "upload" }))).await;
    let parts = vec![part("tides.txt", "The tide turns twice a day.")];
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, parts).await.expect(202);
    let file = accepted["items"][0]["id"].as_str().unwrap().to_owned();
    (setup, file)
}

#[actix_web::test]
async fn file_waits_for_a_worker_that_knows_the_node_type() {
    let (mut setup, file) = upload().await;
    make_newer(&setup, "Words").await;
    setup.app.start_worker().await;
    wait_for_reason(&setup, &file).await;
    assert_eq!(setup.app.count("job where attempts = 0 and state = 'waiting'").await, 1, "no attempt is spent");
    make_known(&setup).await;
    setup.app.sql(WAKE).await;
    let file = setup.app.finished_file(&setup.ada, &setup.workspace, &file).await;
    assert_eq!((&file["state"], &file["chunkCount"]), (&json!("ready"), &json!(1)), "{file}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn job_of_an_unknown_version_waits_and_spends_no_attempt() {
    let (mut setup, file) = upload().await;
    setup.app.sql("update job set version = version + 1000").await;
    setup.app.start_worker().await;
    wait_until("a worker has left the job to a newer one", async || {
        let waits = "job where epoch > 0 and attempts = 0 and state = 'waiting' and last_error like '%does not know%'";
        (setup.app.count(waits).await == 1).then_some(())
    })
    .await;
    assert_eq!(setup.app.count("dead_job").await, 0);
    setup.app.sql("update job set version = version - 1000").await;
    setup.app.sql(WAKE).await;
    let file = setup.app.finished_file(&setup.ada, &setup.workspace, &file).await;
    assert_eq!(file["state"], "ready", "{file}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn upload_to_an_old_api_waits_for_a_worker_that_knows_the_definition() {
    let mut setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    let filter = json!({ "field": "name", "op": "eq", "value": "tides.txt" });
    let source = json!({ "id": "in", "type": "source.files", "trigger": "upload", "filter": filter });
    setup.pipeline("Words", &words(&source)).await;
    let manual = json!({ "id": "in", "type": "source.files", "trigger": "manual" });
    setup.pipeline("By request", &words(&manual)).await;
    for pipeline in ["Words", "By request"] {
        make_newer(&setup, pipeline).await;
    }
    let parts = vec![part("tides.txt", "The tide turns twice a day."), part("moon.txt", "The moon rises.")];
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, parts).await.expect(202);
    let [tides, moon] = [0_usize, 1].map(|at| accepted["items"][at].clone());
    for file in [&tides, &moon] {
        assert_eq!((&file["state"], &file["progress"]["stage"]), (&json!("queued"), &json!("in")), "{file}");
    }
    assert_eq!(setup.app.count("run").await, 2, "a pipeline that no upload starts has none");
    setup.app.start_worker().await;
    let [tides, moon] = [tides, moon].map(|file| file["id"].as_str().unwrap().to_owned());
    for file in [&tides, &moon] {
        wait_for_reason(&setup, file).await;
    }
    make_known(&setup).await;
    setup.app.sql(WAKE).await;
    for (file, chunks) in [(&tides, 1), (&moon, 0)] {
        let file = setup.app.finished_file(&setup.ada, &setup.workspace, file).await;
        assert_eq!(file["state"], "ready", "{file}");
        assert_eq!(file["chunkCount"].as_i64().unwrap_or_default(), chunks, "{file}");
    }
    assert_eq!(setup.live_chunks().await["default"], ["The tide turns twice a day."]);
    assert_eq!(setup.app.count("run where code_versions is not null").await, 1, "that of the file that entered");
    setup.app.stop().await;
}

#[actix_web::test]
async fn pipeline_that_only_a_newer_worker_knows_follows_another_one() {
    let setup = Setup::with_worker().await;
    setup.pipeline("First", &words(&json!({ "id": "in", "type": "source.files", "trigger": "upload" }))).await;
    let after = json!({ "after": { "pipeline": "First" } });
    setup.pipeline("Second", &words(&json!({ "id": "in", "type": "source.files", "trigger": after }))).await;
    make_newer(&setup, "Second").await;
    setup.upload(&[("tides.txt", "The tide turns twice a day.")]).await;
    wait_until("the run of the follower waits", async || {
        let waits = "job where kind = 'run.admit' and wait_reason like '%newer worker%'";
        (setup.app.count(waits).await == 1).then_some(())
    })
    .await;
    make_known(&setup).await;
    setup.app.sql(WAKE).await;
    let run = ended_run(&setup, "after").await;
    assert_eq!((&run["state"], &run["items"]), (&json!("completed"), &json!(1)), "{run}");
    assert_eq!(setup.app.count("run where code_versions is null").await, 0);
    setup.app.stop().await;
}

#[actix_web::test]
async fn schedule_that_an_old_worker_does_not_know_stays_due() {
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    let schedule = json!({ "schedule": { "cron": "30 3 * * *" } });
    for name in ["New", "Old"] {
        setup.pipeline(name, &words(&json!({ "id": "in", "type": "source.files", "trigger": schedule }))).await;
    }
    make_newer(&setup, "New").await;
    let due = "update pipeline set next_run_at = now() - interval '1 minute' * (case name when 'New' then 2 else 1 end)
               where next_run_at is not null";
    setup.app.sql(due).await;
    let worker = QuickWorker::start(&setup.app).await;
    // It is due later than the other one, so the worker has left that out.
    ended_run(&setup, "schedule").await;
    assert_eq!(setup.app.count("pipeline where name = 'New' and next_run_at < now()").await, 1);
    assert_eq!(setup.app.count("run").await, 1);
    make_known(&setup).await;
    wait_until("the schedule has started a run", async || {
        let ended = "run where finished_at is not null";
        (setup.app.count(ended).await == 2).then_some(())
    })
    .await;
    assert_eq!(setup.app.count("pipeline where next_run_at > now()").await, 2);
    worker.stop().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn run_with_a_filter_that_no_worker_knows_takes_no_file() {
    let mut setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    setup.upload(&[("tides.txt", "The tide turns twice a day."), ("moon.txt", "The moon rises.")]).await;
    let manual = json!({ "id": "in", "type": "source.files", "trigger": "manual" });
    let pipeline = setup.pipeline("By request", &words(&manual)).await;
    let body = json!({ "filter": { "field": "name", "op": "eq", "value": "tides.txt" } });
    let path = setup.path(&format!("{pipeline}/runs"));
    let run = setup.app.post(&setup.ada, &path, &body).await.expect(202);
    let run = format!("runs/{}", run["id"].as_str().unwrap());
    let replace = |from: &str, to: &str| {
        format!("update run set selection = replace(selection::text, '\"{from}\"', '\"{to}\"')::jsonb")
    };
    setup.app.sql(&replace("eq", "similar")).await;
    setup.app.start_worker().await;
    let reason = wait_until("the run says why it waits", async || {
        setup.get(&run).await["waiting"]["reason"].as_str().map(str::to_owned)
    })
    .await;
    assert!(reason.contains("a newer worker is required") && reason.contains("op"), "{reason}");
    assert_eq!(setup.app.count("run_item").await, 0);
    setup.app.sql(&replace("similar", "eq")).await;
    setup.app.sql(WAKE).await;
    let ended = ended_run(&setup, "manual").await;
    assert_eq!((&ended["state"], &ended["items"]), (&json!("completed"), &json!(1)), "{ended}");
    setup.app.stop().await;
}
