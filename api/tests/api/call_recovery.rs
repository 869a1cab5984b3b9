//! Workers are killed while they call models and services: every answer is paid once, or counted as often as it was paid.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{App, HttpRequest, HttpServer, web};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::support::{ModelServer, Setup, TestApp, completion, definition, model_response, part, spawn, wait_until};

/// A kill costs the job in progress an attempt.
const ATTEMPTS: (&str, &str) = ("NVISY_QUEUE_ATTEMPTS", "50");
const LEASE: (&str, &str) = ("NVISY_QUEUE_LEASE_SECONDS", "2");
/// Calls in progress of one worker.
const SLOTS: usize = 2;
const MODEL_SLOTS: (&str, &str) = ("NVISY_WORKER_MODEL_SLOTS", "2");
const CALL_TIME: Duration = Duration::from_millis(50);
const FILES: usize = 30;
const KILLS: usize = 5;

fn worker(setup: &Setup) -> Child {
    let networks = ("NVISY_OUTBOUND_ALLOWED_NETWORKS", "127.0.0.0/8");
    let local = ("NVISY_EMBEDDING_PROVIDER", "local");
    spawn("nvisy-worker", &setup.app.deployment, &[ATTEMPTS, LEASE, MODEL_SLOTS, networks, local])
}

/// Without a worker in this process.
async fn setup() -> Setup {
    Setup::of(TestApp::start_with(&[ATTEMPTS]).await).await
}

/// `partition`, this node, and a file of its output.
fn around(step: &Value) -> Value {
    let read = json!({ "id": "read", "type": "partition" });
    let out = json!({ "id": "out", "type": "sink.file", "suffix": ".out.json", "format": "json" });
    definition(
        &json!([{ "id": "in", "type": "source.files" }, read, step, out]),
        &["in > read", "read > step", "step > out"],
    )
}

/// Runs the node over files while workers are killed, each time that calls have been made.
async fn run_and_kill(setup: &Setup, step: &Value, calls: impl Fn() -> usize) -> Value {
    let parts = (0..FILES).map(|n| part(&format!("{n}.txt"), format!("Contract {n} ends in the year {}.", 2000 + n)));
    setup.app.upload(&setup.ada, &setup.workspace, parts.collect()).await.expect(202);
    let body = json!({ "definition": around(step) });
    let run = setup.app.post(&setup.ada, &setup.path("runs"), &body).await.expect(202);
    let path = format!("runs/{}", run["id"].as_str().unwrap());
    let mut workers = [worker(setup), worker(setup)];
    for kill in 0..KILLS {
        let enough = FILES * (kill + 1) / (KILLS + 2);
        wait_until("calls have been made", async || (calls() >= enough).then_some(())).await;
        let killed = &mut workers[kill % 2];
        killed.kill().await.expect("a killed worker");
        *killed = worker(setup);
    }
    let ended = setup.ended_run(&path).await;
    assert_eq!((&ended["state"], &ended["items"]), (&json!("completed"), &json!(FILES)), "{ended}");
    setup.app.wait_until_no_jobs_are_left().await;
    let derived = format!("file where workspace_id = '{}' and name like '%.out.json'", setup.workspace);
    assert_eq!(setup.app.count(&derived).await, FILES as i64);
    ended
}

#[actix_web::test]
async fn every_answer_of_a_failing_model_is_counted_when_workers_are_killed() {
    let setup = setup().await;
    let server = ModelServer::start().await;
    server.answer_after(CALL_TIME);
    // Every third request fails; the others are paid.
    let paid: Arc<Mutex<Vec<String>>> = Arc::default();
    let (answered, mut requests) = (Arc::clone(&paid), 0);
    server.respond(move |request| {
        requests += 1;
        if requests % 3 == 0 {
            return model_response("500", "", "{}");
        }
        answered.lock().unwrap().push(request.prompt());
        completion("{\"title\": \"Contract\"}")
    });
    let settings = json!({ "model": "m-1", "baseUrl": server.base_url });
    let connection =
        json!({ "name": "main", "provider": "openai", "settings": settings, "credentials": { "apiKey": "hunter2" } });
    let connection = setup.app.post(&setup.ada, &setup.path("connections"), &connection).await.expect(201);
    let retry = json!({ "attempts": 20, "backoffSeconds": 1 });
    let step = json!({ "id": "step", "type": "title", "connection": connection["id"], "retry": retry });
    let calls = Arc::clone(&paid);
    let ended = run_and_kill(&setup, &step, move || calls.lock().unwrap().len()).await;

    let paid = paid.lock().unwrap().clone();
    let questions: BTreeSet<_> = paid.iter().collect();
    assert_eq!(questions.len(), FILES, "{questions:?}");
    let usage = setup.get(&format!("model-usage?run={}", ended["id"].as_str().unwrap())).await;
    let counted = usage["items"][0]["calls"].as_u64().unwrap() as usize;
    // An answer on its way to a worker that is killed is paid again; no other is.
    assert!((FILES..=paid.len()).contains(&counted), "{counted} of {} answers are counted", paid.len());
    assert!(paid.len() - counted <= KILLS * SLOTS, "{counted} of {} answers are counted", paid.len());
    let repeated = paid.len() - FILES;
    assert!(repeated <= KILLS * SLOTS, "{repeated} answers were paid again");
    setup.app.stop().await;
}

/// The calls of a service: the id of each, with the text that was sent.
#[derive(Default)]
struct Calls(Mutex<Vec<(String, String)>>);

async fn step(request: HttpRequest, body: web::Json<Value>, calls: web::Data<Calls>) -> web::Json<Value> {
    let id = request.headers().get("webhook-id").unwrap().to_str().unwrap().to_owned();
    let item = body["data"]["items"][0].clone();
    calls.0.lock().unwrap().push((id, item["text"].as_str().unwrap().to_owned()));
    // The service under test takes its time.
    tokio::time::sleep(CALL_TIME).await;
    web::Json(json!({ "items": [{ "id": item["id"], "metadata": { "seen": true } }] }))
}

#[actix_web::test]
async fn repeated_call_of_a_service_has_the_same_id_when_workers_are_killed() {
    let setup = setup().await;
    let calls = web::Data::new(Calls::default());
    let received = calls.clone();
    let server = HttpServer::new(move || App::new().app_data(received.clone()).route("/", web::post().to(step)))
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let url = format!("http://{}/", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    let node = json!({ "id": "step", "type": "http", "url": url, "retry": { "attempts": 20, "backoffSeconds": 1 } });
    let made = calls.clone();
    run_and_kill(&setup, &node, move || made.0.lock().unwrap().len()).await;

    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (id, text) in calls.0.lock().unwrap().iter() {
        ids.entry(text.clone()).or_default().insert(id.clone());
    }
    assert_eq!(ids.len(), FILES);
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
    let repeated = calls.0.lock().unwrap().len() - FILES;
    assert!(repeated <= KILLS * SLOTS, "{repeated} calls were made again");
    handle.stop(true).await;
    serving.await.unwrap().unwrap();
    setup.app.stop().await;
}
