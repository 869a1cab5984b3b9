//! Runs with a definition and files of their own.

use nvisy_shared::domain::role::Permission;
use reqwest::{Method, multipart::Form};
use serde_json::{Value, json};

use crate::support::{
    Setup, TestAccount, TestApp, TestResponse, definition, part, send, wait_until,
    web_server::{WebResponse, WebServer},
};

const TIDES: &str = "The tide turns twice a day, and the power station stands still until the water rises again.";

/// Files whose metadata say that they are final become chunks in the collection `default`.
fn inline_definition() -> Value {
    definition(
        &json!([
            { "id": "in", "type": "source.files" },
            { "id": "final", "type": "filter", "expression": "metadata.state == 'final'" },
            { "id": "read", "type": "partition" },
            { "id": "cut", "type": "chunk.characters", "maxCharacters": 50 },
            { "id": "out", "type": "sink.collection" },
        ]),
        &["in > final", "final > read", "read > cut", "cut > out"],
    )
}

async fn start(setup: &Setup, caller: &TestAccount, form: Form, key: Option<&str>) -> TestResponse {
    let request = setup.app.request(Method::POST, &setup.path("runs")).bearer_auth(&caller.token).multipart(form);
    send(key.into_iter().fold(request, |request, key| request.header("idempotency-key", key))).await
}

async fn ended(setup: &Setup, run: &Value) -> Value {
    setup.ended_run(&format!("runs/{}", run["id"].as_str().unwrap())).await
}

fn form(request: &Value) -> Form {
    Form::new()
        .text("request", request.to_string())
        .text("metadata", r#"{"state": "final"}"#)
        .text("tags", "manual")
        .part("file", part("tides.txt", TIDES))
        .text("metadata", r#"{"state": "draft"}"#)
        .part("file", part("ebb.txt", "Ebb and flood."))
}

#[actix_web::test]
async fn run_brings_its_files_which_no_other_pipeline_processes() {
    let setup = Setup::with_worker().await;
    let uploads = json!([
        { "id": "in", "type": "source.files", "trigger": "upload" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "out", "type": "sink.collection" },
    ]);
    setup.pipeline("Uploads", &definition(&uploads, &["in > read", "read > cut", "cut > out"])).await;
    let request = json!({ "definition": inline_definition() });
    let first = start(&setup, &setup.ada, form(&request), Some("k1")).await;
    let run = first.expect(202);
    let again = start(&setup, &setup.ada, form(&request), Some("k1")).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(202)["id"], run["id"]);
    let other = json!({ "definition": inline_definition(), "limit": 1 });
    start(&setup, &setup.ada, form(&other), Some("k1")).await.problem(422, "idempotency_key_reused");

    let run = ended(&setup, &run).await;
    assert_eq!((&run["state"], &run["trigger"]), (&json!("completed"), &json!("inline")), "{run}");
    assert_eq!((&run["items"], &run["itemsSkipped"]), (&json!(2), &json!(1)), "{run}");
    assert_eq!(setup.app.count("run").await, 1);
    let files = setup.get("files").await;
    let files = files["items"].as_array().unwrap();
    let names: Vec<_> = files.iter().map(|file| (&file["name"], &file["state"], &file["tags"])).collect();
    let expected =
        [(&json!("ebb.txt"), &json!("ready"), &json!([])), (&json!("tides.txt"), &json!("ready"), &json!(["manual"]))];
    assert_eq!(names, expected);
    assert!(setup.live_chunks().await["default"].len() >= 2);

    // Named files and those of the form are processed together.
    let tides = files[1]["id"].as_str().unwrap();
    let request = json!({ "definition": inline_definition(), "files": [tides] });
    let both = Form::new().part("file", part("more.txt", TIDES)).text("request", request.to_string());
    let run = ended(&setup, &start(&setup, &setup.ada, both, None).await.expect(202)).await;
    assert_eq!((&run["items"], &run["state"]), (&json!(2), &json!("completed_with_errors")), "{run}");
    setup.app.stop().await;
}

/// Runs a definition over the files of [`form`]; returns the artifacts of an item that is done: node and elements.
async fn artifacts(setup: &Setup, definition: &Value) -> Vec<(String, Vec<Value>)> {
    let request = json!({ "definition": definition });
    let run = ended(setup, &start(setup, &setup.ada, form(&request), None).await.expect(202)).await;
    let items = format!("runs/{}/items", run["id"].as_str().unwrap());
    let done = setup.get(&format!("{items}?state=done")).await;
    let path = format!("{items}/{}/artifacts", done["items"][0]["id"].as_str().unwrap());
    let list = setup.get(&path).await;
    let mut artifacts = Vec::new();
    for artifact in list["items"].as_array().unwrap() {
        let path = setup.path(&format!("{path}/{}", artifact["id"].as_str().unwrap()));
        let response = setup.app.get(&setup.ada, &path).await;
        let elements: Vec<Value> = response.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&artifact["complete"], &artifact["elements"]), (&json!(true), &json!(elements.len())), "{list}");
        artifacts.push((artifact["node"].as_str().unwrap().to_owned(), elements));
    }
    artifacts
}

#[actix_web::test]
async fn artifacts_of_an_inline_run_have_the_input_of_its_sinks() {
    let setup = Setup::with_worker().await;
    let found = artifacts(&setup, &inline_definition()).await;
    let [(node, chunks)] = found.as_slice() else { panic!("{found:?}") };
    let texts: Vec<_> = chunks.iter().map(|chunk| chunk["text"].as_str().unwrap()).collect();
    assert_eq!((node.as_str(), texts.len() > 1, texts.join(" ")), ("cut", true, TIDES.to_owned()));

    // The sink takes its input unit by unit.
    let nodes = json!([
        { "id": "in", "type": "source.files" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.characters", "maxCharacters": 50 },
        { "id": "vec", "type": "embed" },
        { "id": "out", "type": "sink.collection" },
    ]);
    let vectors = definition(&nodes, &["in > read", "read > cut", "cut > vec", "vec > out"]);
    let found = artifacts(&setup, &vectors).await;
    let numbers: Vec<_> = found.iter().map(|(node, elements)| (node.as_str(), elements.len())).collect();
    assert!(matches!(numbers[..], [("cut", cut), ("vec", vec)] if cut == vec && cut > 0), "{numbers:?}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn rejected_run_leaves_no_rows() {
    let setup = Setup::with_worker().await;
    let request = json!({ "definition": inline_definition() }).to_string();
    let file = || part("tides.txt", TIDES);
    let missing = Form::new().part("file", file());
    let twice = Form::new().text("request", request.clone()).text("request", request.clone()).part("file", file());
    let no_files = Form::new().text("request", request.clone());
    let named = Form::new().text("request", request.clone()).text("externalId", "a").part("file", file());
    let broken = json!({ "definition": { "schemaVersion": 1, "nodes": [], "edges": [{}] } }).to_string();
    let broken = Form::new().part("file", file()).text("request", broken);
    let surplus = json!({ "definition": inline_definition(), "colour": "blue" }).to_string();
    let surplus = Form::new().part("file", file()).text("request", surplus);
    let start = async |form: Form| start(&setup, &setup.ada, form, None).await;
    for (form, field) in
        [(missing, "request"), (twice, "request"), (no_files, "file"), (named, "externalId"), (surplus, "colour")]
    {
        let problem = start(form).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let problem = start(broken).await.problem(422, "invalid_body");
    assert!(problem["errors"].as_array().unwrap().len() > 1, "{problem}");
    start(Form::new().text("request", "{").part("file", file())).await.problem(400, "malformed_json");
    let mut elsewhere = inline_definition();
    elsewhere["nodes"][4]["collection"] = json!("elsewhere");
    let elsewhere = json!({ "definition": elsewhere }).to_string();
    let elsewhere = Form::new().text("request", elsewhere).part("file", file());
    start(elsewhere).await.problem(409, "pipeline_not_runnable");

    let permissions = [Permission::WritePipelines];
    let token = setup.app.api_token_with(&setup.ada, &permissions, Some(&setup.workspace)).await;
    let form = Form::new().text("request", request.clone()).part("file", file());
    self::start(&setup, &token, form, None).await.problem(403, "scope_missing");
    for table in ["file", "blob", "run"] {
        assert_eq!(setup.app.count(table).await, 0, "{table}");
    }
    setup.app.stop().await;
}

/// Starts a run over an upload of each text, whose end is told to an address.
async fn start_for(setup: &Setup, url: &str, texts: &[&str]) -> Value {
    let request = json!({ "definition": inline_definition(), "webhook": { "url": url } }).to_string();
    let form = texts.iter().fold(Form::new().text("request", request), |form, text| {
        form.text("metadata", r#"{"state": "final"}"#).part("file", part("a.txt", (*text).to_owned()))
    });
    start(setup, &setup.ada, form, None).await.expect(202)
}

/// The run once its message was delivered or given up.
async fn told(setup: &Setup, run: &Value) -> Value {
    let path = format!("runs/{}", run["id"].as_str().unwrap());
    wait_until("the message is delivered or given up", async || {
        let run = setup.get(&path).await;
        let webhook = &run["webhook"];
        (webhook["deliveredAt"].is_string() || webhook["failure"].is_string()).then_some(run)
    })
    .await
}

#[actix_web::test]
async fn receiver_is_told_of_each_end_of_a_run() {
    let server = WebServer::start().await;
    let mut answers = 0;
    server.respond(move |_| {
        answers += 1;
        // Temporary, so the message is repeated.
        Some(if answers == 1 { WebResponse::status(503) } else { WebResponse::json(&json!({})) })
    });
    let setup = Setup::with_worker().await;
    setup.app.post(&setup.ada, &setup.path("signing-secret"), &json!({})).await.expect(200);
    let run = start_for(&setup, &format!("{}/ended?key=k", server.url), &[TIDES, " "]).await;
    assert_eq!(run["webhook"], json!({ "host": "127.0.0.1" }), "{run}");
    let run = told(&setup, &run).await;
    assert_eq!((&run["state"], &run["webhook"]["failure"]), (&json!("completed_with_errors"), &Value::Null), "{run}");

    let requests = server.take_requests();
    let id = |place: usize| requests[place].0.header("webhook-id").to_owned();
    assert_eq!((requests.len(), requests[0].1, requests[1].1), (2, 503, 200));
    assert!(!id(0).is_empty() && id(0) == id(1), "{requests:?}");
    assert!(requests[1].0.header("webhook-signature").starts_with("v1,"), "{requests:?}");
    assert_eq!((requests[1].0.method.as_str(), requests[1].0.target.as_str()), ("POST", "/ended?key=k"));
    let message: Value = serde_json::from_slice(&requests[1].0.body).unwrap();
    let data = &message["data"];
    assert_eq!((&message["type"], &data["runId"], &data["state"]), (&json!("run.ended"), &run["id"], &run["state"]));
    for count in ["items", "itemsFailed", "itemsSkipped", "tokens", "finishedAt"] {
        assert_eq!(data[count], run[count], "{count}: {message}");
    }
    let results = data["results"].as_array().unwrap();
    let states: Vec<_> = results.iter().map(|result| result["state"].as_str().unwrap()).collect();
    assert_eq!((states.len(), states.contains(&"done"), states.contains(&"failed")), (2, true, true), "{message}");
    assert!(results.iter().any(|result| result["failure"]["code"] == "empty"), "{message}");
    for link in [&data["links"]["run"], &data["links"]["items"], &results[0]["artifacts"]] {
        setup.app.get(&setup.ada, link.as_str().unwrap()).await.expect(200);
    }

    // The run is open again, and its next end is another one.
    let retry = setup.path(&format!("runs/{}/retry", run["id"].as_str().unwrap()));
    let open = setup.app.post(&setup.ada, &retry, &json!({})).await.expect(202);
    assert_eq!(open["webhook"], json!({ "host": "127.0.0.1" }), "{open}");
    told(&setup, &open).await;
    let again = server.take_requests();
    assert_eq!(again.len(), 1);
    assert!(again[0].0.header("webhook-id") != id(0), "{again:?}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn receiver_that_rejects_a_message_gets_no_further_one() {
    let server = WebServer::start().await;
    server.respond(|_| Some(WebResponse::status(410)));
    let setup = Setup::with_worker().await;
    let run = start_for(&setup, &format!("{}/ended", server.url), &[TIDES]).await;
    let run = told(&setup, &run).await;
    let failure = run["webhook"]["failure"].as_str().unwrap();
    assert!(failure.contains("127.0.0.1") && failure.contains("410"), "{failure}");
    assert_eq!((server.take_requests().len(), &run["state"]), (1, &json!("completed")));
    for url in ["ftp://example.org/", "https://ada:hunter2@example.org/", "https://example.org/#a", "ended"] {
        let body = json!({ "definition": inline_definition(), "webhook": { "url": url } });
        let problem = setup.app.post(&setup.ada, &setup.path("runs"), &body).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], "webhook.url", "{problem}");
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn receiver_in_a_private_network_is_not_told() {
    let server = WebServer::start().await;
    // Settings of tests allow this machine.
    let elsewhere = ("NVISY_OUTBOUND_ALLOWED_NETWORKS", "192.0.2.0/24");
    let setup = Setup::of(TestApp::start_with_worker(&[elsewhere]).await).await;
    let run = told(&setup, &start_for(&setup, &server.url, &[TIDES]).await).await;
    assert!(run["webhook"]["failure"].as_str().unwrap().contains("127.0.0.1"), "{run}");
    assert!(server.take_requests().is_empty());
    setup.app.stop().await;
}

#[actix_web::test]
async fn receiver_of_a_cancelled_run_is_told() {
    let setup = Setup::of(TestApp::start().await).await;
    let run = start_for(&setup, "https://example.org/ended", &[TIDES]).await;
    let jobs = async || setup.app.count("job where kind = 'run.deliver'").await;
    assert_eq!(jobs().await, 0);
    let cancel = setup.path(&format!("runs/{}/cancel", run["id"].as_str().unwrap()));
    setup.app.post(&setup.ada, &cancel, &json!({})).await.expect(200);
    assert_eq!(jobs().await, 1);
    setup.app.stop_and_drop_jobs().await;
}
