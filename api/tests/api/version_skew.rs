//! Workers of the version before, beside an API and workers of a new one: their jobs wait for a newer worker, and spend nothing.

use serde_json::json;

use crate::support::{Setup, TestApp, definition, part, wait_until};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");
/// Lets a job go on whose wait is longer than a test.
const WAKE: &str = "update job set run_at = now() where state = 'waiting'";

/// A workspace with one file whose job no worker has seen yet; returns the id of the file.
async fn upload() -> (Setup, String) {
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "upload" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "out", "type": "sink.collection" },
    ]);
    setup.pipeline("Words", &definition(&nodes, &["in > read", "read > cut", "cut > out"])).await;
    let parts = vec![part("tides.txt", "The tide turns twice a day.")];
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, parts).await.expect(202);
    let file = accepted["items"][0]["id"].as_str().unwrap().to_owned();
    (setup, file)
}

#[actix_web::test]
async fn file_waits_for_a_worker_that_knows_the_node_type() {
    let (mut setup, file) = upload().await;
    let replace = |from: &str, to: &str| {
        format!("update pipeline_version set definition = replace(definition::text, '\"{from}\"', '\"{to}\"')::jsonb")
    };
    setup.app.sql(&replace("partition", "partition.next")).await;
    setup.app.start_worker().await;
    let reason = wait_until("the file says why it waits", async || {
        let file = setup.app.file(&setup.ada, &setup.workspace, &file).await;
        file["waiting"]["reason"].as_str().map(str::to_owned)
    })
    .await;
    assert!(reason.contains("a newer worker is required") && reason.contains("read"), "{reason}");
    assert_eq!(setup.app.count("job where attempts = 0 and state = 'waiting'").await, 1, "no attempt is spent");
    setup.app.sql(&replace("partition.next", "partition")).await;
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
