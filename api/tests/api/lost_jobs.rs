//! Runs whose jobs are lost go on, with every effect once; other runs are left as they are.

use std::time::Duration;

use nvisy_worker::maintenance::Schedule;
use serde_json::{Value, json};

use crate::support::{
    QuickWorker, Setup, TestApp, definition,
    object_store::{SeaweedFs, s3_credentials},
    part,
    synced::{LOOPBACK, Synced, counts},
    wait_until,
};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");
/// Older than all runs of a test: nothing is repaired.
const NEVER: Duration = Duration::from_secs(3600);

/// A worker that looks for lost jobs all the time.
async fn worker(app: &TestApp, repair_age: Duration) -> QuickWorker {
    let interval = Duration::from_millis(50);
    let schedule = Schedule { poll_interval: interval, repair_interval: interval, repair_age, ..Schedule::default() };
    QuickWorker::start_with(app, schedule).await
}

/// Loses every new job for which a condition holds.
async fn lose_jobs(app: &TestApp, condition: &str) {
    app.sql(&format!(
        "create function lose_job() returns trigger language plpgsql as $$
             begin
                 delete from job where id = new.id;
                 return null;
             end $$;
         create trigger job_lost after insert on job for each row when ({condition}) execute function lose_job()"
    ))
    .await;
}

/// Stops the worker when the condition holds and no job is left, and the loss of jobs.
async fn stop_when(app: &TestApp, worker: QuickWorker, condition: &str) {
    wait_until(condition, async || (app.count(condition).await == 1).then_some(())).await;
    app.wait_until_no_jobs_are_left().await;
    worker.stop().await;
    app.sql("drop trigger job_lost on job").await;
}

/// Copies files.
fn copies() -> Value {
    definition(
        &json!([
            { "id": "in", "type": "source.files", "trigger": "manual" },
            { "id": "all", "type": "filter", "expression": "file.size > 0" },
            { "id": "out", "type": "sink.file", "suffix": ".copy" },
        ]),
        &["in > all", "all > out"],
    )
}

/// A workspace with files and a run that copies them, without a worker; returns the ids of the files and the path of the run.
async fn started(files: usize) -> (Setup, Vec<String>, String) {
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    let parts = (0..files).map(|n| part(&format!("{n:02}.txt"), format!("File {n}."))).collect();
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, parts).await.expect(202);
    let ids =
        accepted["items"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap().to_owned()).collect();
    let pipeline = setup.pipeline("Copies", &copies()).await;
    let run = setup.start_run(&pipeline).await;
    (setup, ids, run)
}

fn names(files: usize) -> Vec<String> {
    (0..files).map(|n| format!("{n:02}.txt.copy")).collect()
}

/// The items that have got another job.
async fn repaired_items(app: &TestApp) -> i64 {
    app.count("run_item_log where kind = 'retried' and detail like '%job was lost%'").await
}

#[actix_web::test]
async fn files_enter_a_run_whose_first_job_was_lost() {
    let (setup, _, run) = started(40).await;
    setup.app.sql("delete from job").await;
    let worker = worker(&setup.app, Duration::ZERO).await;
    let ended = setup.ended_run(&run).await;
    assert_eq!((&ended["state"], &ended["items"]), (&json!("completed"), &json!(40)), "{ended}");
    assert_eq!(setup.derived_names().await, names(40));
    assert_eq!(repaired_items(&setup.app).await, 0, "items in progress are not repaired");
    worker.stop().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn items_whose_jobs_were_lost_are_processed_once() {
    let (setup, _, run) = started(40).await;
    lose_jobs(&setup.app, "new.kind in ('run.items', 'run.segment')").await;
    let first = worker(&setup.app, NEVER).await;
    stop_when(&setup.app, first, "run where admitted and items_open = 40").await;
    assert_eq!(setup.derived_names().await, [""; 0]);
    let worker = worker(&setup.app, Duration::ZERO).await;
    let ended = setup.ended_run(&run).await;
    assert_eq!((&ended["state"], &ended["items"]), (&json!("completed"), &json!(40)), "{ended}");
    assert_eq!(setup.derived_names().await, names(40));
    assert_eq!(repaired_items(&setup.app).await, 40);
    worker.stop().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn run_ends_when_the_file_of_its_last_open_item_is_deleted() {
    let (setup, files, run) = started(2).await;
    lose_jobs(&setup.app, "new.kind in ('run.items', 'run.segment')").await;
    let first = worker(&setup.app, NEVER).await;
    stop_when(&setup.app, first, "run where admitted and items_open = 2").await;
    let deleted = setup.app.delete(&setup.ada, &setup.path(&format!("files/{}", files[0]))).await;
    assert_eq!(deleted.status, 204);
    let worker = worker(&setup.app, Duration::ZERO).await;
    let ended = setup.ended_run(&run).await;
    assert_eq!((&ended["state"], &ended["itemsOpen"]), (&json!("completed"), &json!(0)), "{ended}");
    assert_eq!(setup.derived_names().await, ["01.txt.copy"]);
    worker.stop().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn file_of_which_some_units_are_done_is_written_once() {
    let setup = Setup::of(TestApp::start_with(&[LOCAL, ("NVISY_WORKER_BATCH_CHUNKS", "1")]).await).await;
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "upload" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.characters", "maxCharacters": 100 },
        { "id": "vec", "type": "embed" },
        { "id": "out", "type": "sink.collection" },
    ]);
    setup.pipeline("Vectors", &definition(&nodes, &["in > read", "read > cut", "cut > vec", "vec > out"])).await;
    lose_jobs(&setup.app, "new.payload->'units'->>'first' <> '0'").await;
    let text: Vec<String> =
        (0..12).map(|n| format!("The gauge number {n} stood at {n} metres in the morning.")).collect();
    let accepted =
        setup.app.upload(&setup.ada, &setup.workspace, vec![part("a.txt", text.join(" "))]).await.expect(202);
    let first = worker(&setup.app, NEVER).await;
    stop_when(&setup.app, first, "run_item where done = 1 and total > 1").await;
    let chunks: i32 = setup.app.rows("select total from run_item").await[0].try_get("", "total").unwrap();
    let worker = worker(&setup.app, Duration::ZERO).await;
    let file = accepted["items"][0]["id"].as_str().unwrap();
    let file = setup.app.finished_file(&setup.ada, &setup.workspace, file).await;
    assert_eq!(file["state"], "ready", "{file}");
    let mut live = setup.live_chunks().await["default"].clone();
    assert_eq!(live.len(), usize::try_from(chunks).unwrap(), "{live:?}");
    live.dedup();
    assert_eq!(live.len(), usize::try_from(chunks).unwrap(), "a chunk is there twice");
    assert_eq!(setup.app.count("embedding").await, i64::from(chunks));
    assert_eq!(setup.app.count("target where not live").await, 0);
    assert_eq!(repaired_items(&setup.app).await, 1);
    worker.stop().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn objects_of_a_sync_whose_jobs_were_lost_are_fetched() {
    let store = SeaweedFs::start().await;
    for name in ["a.txt", "b.txt", "c.txt"] {
        store.put(name, format!("The content of {name}.")).await;
    }
    let app = TestApp::start_with(&[LOCAL, LOOPBACK]).await;
    let synced = Synced::of(app, "s3", store.s3_settings(), s3_credentials(), json!({})).await;
    lose_jobs(&synced.app, "new.kind = 'source.fetch'").await;
    let run = synced.start_sync(json!({})).await;
    let first = worker(&synced.app, NEVER).await;
    stop_when(&synced.app, first, "run where syncs and admitted and objects_pending = 3").await;
    let worker = worker(&synced.app, Duration::ZERO).await;
    let ended = synced.ended(&run).await;
    assert_eq!((&ended["state"], counts(&ended)), (&json!("completed"), [3, 3, 0, 0, 0, 0]), "{ended}");
    assert_eq!(synced.ids().await, ["docs/a.txt", "docs/b.txt", "docs/c.txt"]);
    worker.stop().await;
    synced.app.stop().await;
}

#[actix_web::test]
async fn run_that_has_its_jobs_gets_no_others() {
    let (setup, _, run) = started(90).await;
    setup.app.log_added_jobs().await;
    // Its first job, which was added before the trigger, waits; a message of it may be in JetStream.
    let wait = "state = 'waiting', stream_seq = null, epoch = epoch + 1, run_at = now() + interval '1 hour'";
    setup.app.sql(&format!("update job set {wait}")).await;
    let worker = worker(&setup.app, Duration::ZERO).await;
    let is_repairing = async || {
        let again = "maintenance_lease where name = 'repair' and due_at <= now() + interval '1 second'";
        (setup.app.count(again).await == 1).then_some(())
    };
    wait_until("the runs were searched", is_repairing).await;
    setup.app.sql("update job set run_at = now()").await;
    let ended = setup.ended_run(&run).await;
    assert_eq!((&ended["state"], &ended["items"]), (&json!("completed"), &json!(90)), "{ended}");
    assert_eq!(setup.derived_names().await, names(90));
    assert_eq!(setup.app.count("added_job where kind = 'run.admit'").await, 0);
    assert_eq!(repaired_items(&setup.app).await, 0);
    worker.stop().await;
    setup.app.stop().await;
}
