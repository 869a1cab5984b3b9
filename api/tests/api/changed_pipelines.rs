//! Pipelines that are changed, disabled or deleted while a run of theirs goes on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc::{Sender, channel},
};

use serde_json::{Value, json};

use crate::support::{
    Setup, definition, wait_until,
    web_server::{WebResponse, WebServer},
};

const TIDES: &str = "The tide turns twice a day, and the power station stands still until the water rises again.";

/// A run that waits at a node for the response of a service.
struct WaitingRun {
    setup: Setup,
    pipeline: String,
    run: String,
    url: String,
    /// Lets the service respond.
    response: Sender<()>,
}

fn stepping(url: &str, max_characters: u32) -> Value {
    definition(
        &json!([
            { "id": "in", "type": "source.files", "trigger": "manual" },
            { "id": "read", "type": "partition" },
            { "id": "step", "type": "http", "url": url },
            { "id": "cut", "type": "chunk.characters", "maxCharacters": max_characters },
            { "id": "out", "type": "sink.collection" },
        ]),
        &["in > read", "read > step", "step > cut", "cut > out"],
    )
}

impl WaitingRun {
    async fn start() -> Self {
        let server = WebServer::start().await;
        let (response, allowed) = channel::<()>();
        let has_arrived = Arc::new(AtomicBool::default());
        let arrived = Arc::clone(&has_arrived);
        server.respond(move |_| {
            arrived.store(true, Ordering::SeqCst);
            // A test that fails drops the sender, which ends the wait too.
            let _ = allowed.recv();
            Some(WebResponse::json(&json!({ "items": [{ "id": "0" }] })))
        });
        let setup = Setup::with_worker().await;
        let pipeline = setup.pipeline("Stepping", &stepping(&server.url, 200)).await;
        setup.upload(&[("tides.txt", TIDES)]).await;
        let run = setup.app.post(&setup.ada, &setup.path(&format!("{pipeline}/runs")), &json!({})).await.expect(202);
        let run = format!("runs/{}", run["id"].as_str().unwrap());
        wait_until("the service is called", async || has_arrived.load(Ordering::SeqCst).then_some(())).await;
        Self { setup, pipeline, run, url: server.url, response }
    }
}

#[actix_web::test]
async fn run_keeps_its_version_while_the_pipeline_is_changed_and_disabled() {
    let WaitingRun { setup, pipeline, run, url, response } = WaitingRun::start().await;
    let changed = setup.patch(&pipeline, &json!({ "definition": stepping(&url, 20) })).await;
    assert_eq!(changed["version"], 2, "{changed}");
    setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
    response.send(()).unwrap();
    let ended = wait_until("the run has ended", async || {
        let run = setup.get(&run).await;
        run["finishedAt"].is_string().then_some(run)
    })
    .await;
    assert_eq!((&ended["state"], &ended["pipelineVersion"]), (&json!("completed"), &json!(1)), "{ended}");
    assert_eq!(setup.live_chunks().await["default"], [TIDES]);
    let runs = setup.path(&format!("{pipeline}/runs"));
    setup.app.post(&setup.ada, &runs, &json!({})).await.problem(409, "pipeline_not_enabled");
    setup.app.stop().await;
}

#[actix_web::test]
async fn run_of_a_deleted_pipeline_ends_and_leaves_nothing() {
    let WaitingRun { setup, pipeline, run, response, .. } = WaitingRun::start().await;
    assert_eq!(setup.app.delete(&setup.ada, &setup.path(&pipeline)).await.status, 204);
    response.send(()).unwrap();
    wait_until("its jobs are gone", async || (setup.app.count("job").await == 0).then_some(())).await;
    setup.app.get(&setup.ada, &setup.path(&run)).await.problem(404, "not_found");
    for table in ["run", "target", "chunk"] {
        assert_eq!(setup.app.count(table).await, 0, "{table}");
    }
    let files = setup.get("files").await;
    assert_eq!((&files["items"][0]["name"], &files["items"][0]["state"]), (&json!("tides.txt"), &json!("ready")));
    setup.app.stop().await;
}
