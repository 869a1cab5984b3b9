//! Runs are cancelled while a node waits for a model or a service: the call ends, and the slot of the worker is free again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{ModelServer, Setup, TestApp, completion, definition, model_response, part, wait_until};

/// A worker that makes one call at a time.
const ONE_SLOT: (&str, &str) = ("NVISY_WORKER_MODEL_SLOTS", "1");
/// Longer than any test: no call ends by itself.
const TIMEOUT_SECONDS: u32 = 600;
/// How long a call may go on after its run was cancelled.
const MAX_SECONDS: Duration = Duration::from_secs(30);

/// Cancels a run of this node while its call is in progress; another run is then done in the same slot.
async fn cancel_during_a_call(setup: &Setup, server: &ModelServer, step: &Value) {
    let nodes = json!([
        { "id": "in", "type": "source.files" },
        { "id": "read", "type": "partition" },
        step,
        { "id": "out", "type": "sink.file", "suffix": ".out.json", "format": "json" },
    ]);
    let definition = definition(&nodes, &["in > read", "read > step", "step > out"]);
    let content = part("tides.txt", "The tide turns twice a day.");
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, vec![content]).await.expect(202);
    let body = json!({ "definition": definition, "files": [accepted["items"][0]["id"]] });
    let start = async || {
        let run = setup.app.post(&setup.ada, &setup.path("runs"), &body).await.expect(202);
        format!("runs/{}", run["id"].as_str().unwrap())
    };
    server.hold();
    let run = start().await;
    wait_until("the call is in progress", async || (server.requests().len() == 1).then_some(())).await;
    let cancelled = Instant::now();
    setup.app.post(&setup.ada, &setup.path(&format!("{run}/cancel")), &json!({})).await.expect(200);
    wait_until("the far end sees the end of the call", async || (server.abandoned() == 1).then_some(())).await;
    assert!(cancelled.elapsed() < MAX_SECONDS, "the call went on for {:?}", cancelled.elapsed());
    let (run, items) = (setup.get(&run).await, setup.get(&format!("{run}/items")).await);
    assert_eq!((&run["state"], &run["itemsOpen"]), (&json!("cancelled"), &json!(0)), "{run}");
    assert_eq!(items["items"][0]["state"], "cancelled", "{items}");

    server.release();
    let next = start().await;
    let next = setup.ended_run(&next).await;
    assert_eq!(next["state"], "completed", "{next}");
    assert_eq!(server.requests().len(), 2, "the cancelled call was not made again");
    assert_eq!(setup.app.count("file where name = 'tides.txt.out.json'").await, 1);
}

#[actix_web::test]
async fn call_of_a_model_ends_when_its_run_is_cancelled() {
    let setup = Setup::of(TestApp::start_with_worker(&[ONE_SLOT]).await).await;
    let server = ModelServer::start().await;
    server.respond(|_| completion("{\"title\": \"Tides\"}"));
    let settings = json!({ "model": "m-1", "baseUrl": server.base_url, "timeoutSeconds": TIMEOUT_SECONDS });
    let connection =
        json!({ "name": "main", "provider": "openai", "settings": settings, "credentials": { "apiKey": "hunter2" } });
    let connection = setup.app.post(&setup.ada, &setup.path("connections"), &connection).await.expect(201);
    let step = json!({ "id": "step", "type": "title", "connection": connection["id"] });
    cancel_during_a_call(&setup, &server, &step).await;
    let usage = setup.get("model-usage").await;
    assert_eq!(usage["items"][0]["calls"], 1, "{usage}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn call_of_a_service_ends_when_its_run_is_cancelled() {
    let setup = Setup::of(TestApp::start_with_worker(&[ONE_SLOT]).await).await;
    let server = ModelServer::start().await;
    server.respond(|request| {
        let items = json!([{ "id": request.body["data"]["items"][0]["id"], "metadata": { "seen": true } }]);
        model_response("200", "", &json!({ "items": items }).to_string())
    });
    let seconds = json!(TIMEOUT_SECONDS);
    let step = json!({ "id": "step", "type": "http", "url": server.base_url, "requestTimeoutSeconds": seconds });
    cancel_during_a_call(&setup, &server, &step).await;
    setup.app.stop().await;
}
