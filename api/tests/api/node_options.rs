//! The options that every node has, in whole runs: a service on a socket succeeds, fails or waits as a test says.

use serde_json::{Value, json};

use crate::support::{ModelRequest, ModelServer, Setup, TestApp, definition, model_response, part, wait_until};

/// Calls of services at the same time.
const SLOTS: (&str, &str) = ("NVISY_WORKER_MODEL_SLOTS", "2");
/// Longer than any test: of two calls, one more is not allowed meanwhile.
const DAY: u32 = 86_400;

/// A workspace, and a service that marks each element as seen.
async fn setup(settings: &[(&str, &str)]) -> (Setup, ModelServer) {
    let setup = Setup::of(TestApp::start_with_worker(settings).await).await;
    let server = ModelServer::start().await;
    server.respond(seen);
    (setup, server)
}

/// Marks the element of a request as seen.
fn seen(request: &ModelRequest) -> String {
    let items = json!([{ "id": request.body["data"]["items"][0]["id"], "metadata": { "seen": true } }]);
    model_response("200", "", &json!({ "items": items }).to_string())
}

/// `partition`, a node that calls the service with these options, more nodes, and a file of the result.
fn calling(server: &ModelServer, options: &Value, more: &[Value]) -> Value {
    let mut step = json!({ "id": "step", "type": "http", "url": server.base_url });
    step.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let mut nodes =
        vec![json!({ "id": "in", "type": "source.files" }), json!({ "id": "read", "type": "partition" }), step];
    nodes.extend_from_slice(more);
    nodes.push(json!({ "id": "out", "type": "sink.file", "suffix": ".out.json", "format": "json" }));
    let ids: Vec<_> = nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect();
    let edges: Vec<_> = ids.windows(2).map(|pair| format!("{} > {}", pair[0], pair[1])).collect();
    definition(&json!(nodes), &edges.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Uploads so many files, which no pipeline takes; returns their ids.
async fn files(setup: &Setup, number: usize) -> Vec<String> {
    let parts = (0..number).map(|n| part(&format!("{n}.txt"), format!("Tide {n} turns."))).collect();
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, parts).await.expect(202);
    accepted["items"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap().to_owned()).collect()
}

/// Starts a run; returns its path.
async fn start(setup: &Setup, definition: &Value, files: &[String]) -> String {
    let body = json!({ "definition": definition, "files": files });
    let run = setup.app.post(&setup.ada, &setup.path("runs"), &body).await.expect(202);
    format!("runs/{}", run["id"].as_str().unwrap())
}

/// The run when it has ended, with its items.
async fn ended(setup: &Setup, run: &str) -> (Value, Vec<Value>) {
    let ended = setup.ended_run(run).await;
    let items = setup.get(&format!("{run}/items")).await["items"].as_array().unwrap().clone();
    (ended, items)
}

#[actix_web::test]
async fn job_that_waits_for_concurrency_spends_no_token_of_a_rate_limit() {
    let (setup, server) = setup(&[SLOTS]).await;
    server.hold();
    let limited = json!({ "rateLimit": { "calls": 2, "perSeconds": DAY } });
    let all = json!({ "id": "all", "type": "filter", "expression": "true", "concurrency": 1 });
    let run = start(&setup, &calling(&server, &limited, &[all]), &files(&setup, 2).await).await;
    // One job calls the service; the other one looks again and again, and has no token left if it takes one each time.
    let waits = "job where kind = 'run.segment' and epoch >= 3 and last_error like '%`concurrency`%'";
    wait_until("a job has waited twice", async || (setup.app.count(waits).await == 1).then_some(())).await;
    assert_eq!(server.requests().len(), 1);
    server.release();
    let (run, _) = ended(&setup, &run).await;
    assert_eq!((&run["state"], server.requests().len()), (&json!("completed"), 2), "{run}");
    setup.app.stop().await;
}
