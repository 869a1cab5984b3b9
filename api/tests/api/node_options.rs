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

/// Previews a definition with files; returns the path of the run.
async fn preview(setup: &Setup, name: &str, definition: &Value, files: &[String]) -> String {
    let body = json!({ "name": name, "definition": definition });
    let draft = setup.app.post(&setup.ada, &setup.path("pipelines"), &body).await.expect(201);
    let path = setup.path(&format!("pipelines/{}/preview", draft["id"].as_str().unwrap()));
    let run = setup.app.post(&setup.ada, &path, &json!({ "files": files })).await.expect(202);
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

#[actix_web::test]
async fn preview_keeps_the_options_of_all_nodes_as_a_run_does() {
    let (setup, server) = setup(&[SLOTS]).await;
    let files = files(&setup, 2).await;
    server.fail(500, "tired");
    let skipped = json!({ "onError": "skip", "retry": { "attempts": 2 } });
    let run = preview(&setup, "Skipped", &calling(&server, &skipped, &[]), &files[..1]).await;
    let (run, items) = ended(&setup, &run).await;
    assert_eq!((&run["state"], &items[0]["state"]), (&json!("completed"), &json!("done")), "{items:?}");

    server.respond(seen);
    let before = server.requests().len();
    let limited = json!({ "rateLimit": { "calls": 1, "perSeconds": DAY } });
    preview(&setup, "Limited", &calling(&server, &limited, &[]), &files).await;
    let waits = async || (setup.app.count("job where last_error like '%`rateLimit`%'").await == 1).then_some(());
    wait_until("one of two previews waits", waits).await;
    wait_until("the other one has called", async || (server.requests().len() == before + 1).then_some(())).await;
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn preview_of_a_file_that_no_sink_gets_is_skipped_as_its_run_is() {
    let (setup, _) = setup(&[]).await;
    let files = files(&setup, 1).await;
    let nodes = json!([
        { "id": "in", "type": "source.files" },
        { "id": "read", "type": "partition" },
        { "id": "none", "type": "filter", "expression": "false" },
        { "id": "out", "type": "sink.file", "suffix": ".txt" },
    ]);
    let definition = definition(&nodes, &["in > read", "read > none", "none > out"]);
    for run in [start(&setup, &definition, &files).await, preview(&setup, "Draft", &definition, &files).await] {
        let (_, items) = ended(&setup, &run).await;
        assert_eq!(items[0]["state"], "skipped", "{items:?}");
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn node_that_was_skipped_is_called_again_by_a_later_run() {
    let (setup, server) = setup(&[]).await;
    // Behind a border, so that the output of the first one is stored.
    let behind = format!("{}/behind", server.base_url);
    let more = [json!({ "id": "behind", "type": "http", "url": behind, "pure": true })];
    let definition = calling(&server, &json!({ "onError": "skip", "pure": true }), &more);
    let files = files(&setup, 1).await;
    let calls_of = |path: &str| {
        let line = format!("post {path} ");
        server.requests().iter().filter(|request| request.head.starts_with(&line)).count()
    };
    let is_behind = |request: &ModelRequest| request.head.starts_with("post /v1/behind ");
    server.respond(move |request| if is_behind(request) { seen(request) } else { model_response("400", "", "{}") });
    let run = start(&setup, &definition, &files).await;
    let (_, items) = ended(&setup, &run).await;
    assert_eq!(items[0]["state"], "done", "{items:?}");
    let log = setup.get(&format!("{run}/items/{}/log", items[0]["id"].as_str().unwrap())).await;
    let skipped = log["items"].as_array().unwrap().iter().find(|entry| entry["kind"] == "node_skipped");
    assert_eq!(skipped.expect("an entry")["node"], "step", "{log}");
    assert_eq!((calls_of("/v1"), calls_of("/v1/behind")), (1, 1));

    server.respond(seen);
    for _ in 0..2 {
        let run = start(&setup, &definition, &files).await;
        assert_eq!(ended(&setup, &run).await.1[0]["state"], "done");
        // The output that the service gave is found from then on.
        assert_eq!((calls_of("/v1"), calls_of("/v1/behind")), (2, 2));
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn node_is_skipped_at_the_last_attempt_of_the_queue() {
    let (setup, server) = setup(&[("NVISY_QUEUE_ATTEMPTS", "2")]).await;
    server.fail(500, "tired");
    let options = json!({ "onError": "skip", "retry": { "attempts": 20 } });
    let run = start(&setup, &calling(&server, &options, &[]), &files(&setup, 1).await).await;
    let (run, items) = ended(&setup, &run).await;
    assert_eq!((&run["state"], &items[0]["state"]), (&json!("completed"), &json!("done")), "{items:?}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn failure_of_a_node_that_fails_the_run_ends_it() {
    let (setup, server) = setup(&[]).await;
    let files = files(&setup, 3).await;
    server.fail(400, "no");
    for (on_error, expected) in [("fail_item", "completed_with_errors"), ("fail_run", "failed")] {
        let definition = calling(&server, &json!({ "onError": on_error }), &[]);
        let run = start(&setup, &definition, &files).await;
        let (run, items) = ended(&setup, &run).await;
        assert_eq!((&run["state"], &run["itemsOpen"]), (&json!(expected), &json!(0)), "{run}");
        let in_state = |state: &str| items.iter().filter(|item| item["state"] == state).count();
        let (failed, cancelled) = (in_state("failed"), in_state("cancelled"));
        assert_eq!(failed + cancelled, 3, "{items:?}");
        assert!(failed > 0 && (on_error == "fail_run" || cancelled == 0), "{items:?}");
        let failure = &items.iter().find(|item| item["state"] == "failed").unwrap()["failure"];
        assert_eq!((&failure["node"], &failure["code"]), (&json!("step"), &json!("service_rejected")));
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn call_ends_at_the_time_limit_of_its_node() {
    let (setup, server) = setup(&[]).await;
    server.hold();
    let options = json!({ "timeoutSeconds": 1, "requestTimeoutSeconds": 300, "retry": { "attempts": 1 } });
    let run = start(&setup, &calling(&server, &options, &[]), &files(&setup, 1).await).await;
    let (_, items) = ended(&setup, &run).await;
    let failure = &items[0]["failure"];
    assert_eq!(
        (&failure["node"], &failure["code"], &failure["attempt"]),
        (&json!("step"), &json!("attempts_exhausted"), &json!(1))
    );
    wait_until("the service sees the end of the call", async || (server.abandoned() == 1).then_some(())).await;
    assert_eq!(server.requests().len(), 1);
    // It leaves a dead job, whose cause an operator can read.
    let dead = "dead_job where error like '%exceeded its time limit%'";
    assert_eq!(setup.app.count(dead).await, 1);
    setup.app.stop().await;
}

#[actix_web::test]
async fn node_is_tried_as_often_as_its_retry_says() {
    let (setup, server) = setup(&[]).await;
    server.fail(500, "tired");
    let attempts = |attempts: u32| json!({ "retry": { "attempts": attempts } });
    let file = files(&setup, 1).await;
    let mut requests = Vec::new();
    for number in [1, 2] {
        let before = server.requests().len();
        let run = start(&setup, &calling(&server, &attempts(number), &[]), &file).await;
        let (_, items) = ended(&setup, &run).await;
        assert_eq!(items[0]["failure"]["attempt"], number, "{items:?}");
        requests.push(server.requests().len() - before);
    }
    assert!(requests[0] < requests[1], "{requests:?}");
    // The last attempt decides.
    let mut failures = 0;
    server.respond(move |request| {
        failures += 1;
        if failures <= requests[0] { model_response("500", "", "{}") } else { seen(request) }
    });
    let run = start(&setup, &calling(&server, &attempts(2), &[]), &file).await;
    assert_eq!(ended(&setup, &run).await.1[0]["state"], "done");
    setup.app.stop().await;
}

#[actix_web::test]
async fn node_is_called_as_often_as_its_rate_limit_allows() {
    let (setup, server) = setup(&[SLOTS]).await;
    let limited = json!({ "rateLimit": { "calls": 2, "perSeconds": DAY } });
    let run = start(&setup, &calling(&server, &limited, &[]), &files(&setup, 3).await).await;
    let path = format!("{run}/items?state=done");
    let done = async || (setup.get(&path).await["items"].as_array().unwrap().len() == 2).then_some(());
    wait_until("two items are done", done).await;
    let waits = "job where kind = 'run.segment' and last_error like '%`rateLimit`%' and attempts = 0";
    wait_until("the third one waits at no cost", async || (setup.app.count(waits).await == 1).then_some(())).await;
    assert_eq!(server.requests().len(), 2);
    assert_eq!(setup.get(&run).await["itemsOpen"], 1);
    setup.app.stop_and_drop_jobs().await;
}
