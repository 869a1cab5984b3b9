//! Retries of failed items of many runs, with one request.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ModelServer, Setup, TestApp, TestResponse, definition, model_response, part, send, wait_until};

/// A workspace whose quota of chunks lets no upload through, with a pipeline; returns the path of that.
async fn setup_without_chunks() -> (Setup, String) {
    let setup = Setup::with_worker().await;
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "upload" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "out", "type": "sink.collection" },
    ]);
    let pipeline = setup.pipeline("Words", &definition(&nodes, &["in > read", "read > cut", "cut > out"])).await;
    let id = &setup.workspace;
    setup.app.sql(&format!("insert into workspace_quota (workspace_id, chunks) values ('{id}', 0)")).await;
    (setup, pipeline)
}

async fn allow_chunks(setup: &Setup) {
    setup.app.sql("update workspace_quota set chunks = null").await;
}

async fn retry(setup: &Setup, body: &Value) -> TestResponse {
    setup.app.post(&setup.ada, &setup.path("items/retry"), body).await
}

/// The number of files in a state, once none is in progress.
async fn files_in(setup: &Setup, state: &str) -> usize {
    let files = wait_until("no file is in progress", async || {
        let files = setup.get("files").await["items"].as_array().unwrap().clone();
        files.iter().all(|file| ["ready", "failed"].contains(&file["state"].as_str().unwrap())).then_some(files)
    })
    .await;
    files.iter().filter(|file| file["state"] == state).count()
}

#[actix_web::test]
async fn failed_uploads_of_a_code_are_retried_with_one_request() {
    let (setup, pipeline) = setup_without_chunks().await;
    let uploads = [("a.txt", "The tide turns."), ("b.txt", "Ebb."), ("c.txt", "Flood."), ("empty.txt", "")];
    let files = setup.upload(&uploads).await;
    assert_eq!(files["a.txt"]["failure"]["code"], "quota_exceeded", "{files:?}");
    assert_eq!(files["empty.txt"]["failure"]["code"], "empty", "{files:?}");
    allow_chunks(&setup).await;
    let send_with_key = || {
        let request = setup.app.request(Method::POST, &setup.path("items/retry")).bearer_auth(&setup.ada.token);
        send(request.header("idempotency-key", "two").json(&json!({ "code": "quota_exceeded", "limit": 2 })))
    };
    let first = send_with_key().await.expect(202);
    assert_eq!(first, json!({ "items": 2, "more": true }));
    wait_until("two files are ready", async || (files_in(&setup, "ready").await == 2).then_some(())).await;
    let repeated = send_with_key().await;
    assert_eq!(repeated.header("idempotency-replayed"), "true");
    assert_eq!(repeated.expect(202), first);

    let id = pipeline.strip_prefix("pipelines/").unwrap();
    let of_pipeline = retry(&setup, &json!({ "code": "quota_exceeded", "pipeline": id })).await.expect(202);
    assert_eq!(of_pipeline, json!({ "items": 1, "more": false }));
    wait_until("three files are ready", async || (files_in(&setup, "ready").await == 3).then_some(())).await;
    let none = retry(&setup, &json!({ "code": "quota_exceeded" })).await.expect(202);
    assert_eq!(none, json!({ "items": 0, "more": false }));
    let since = retry(&setup, &json!({ "since": "2999-01-01T00:00:00Z" })).await.expect(202);
    assert_eq!(since["items"], 0, "{since}");
    let runs = setup.get("runs?state=completed").await;
    assert_eq!(runs["items"].as_array().unwrap().len(), 3, "{runs}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn retries_leave_the_quota_of_unfinished_runs() {
    let (setup, _) = setup_without_chunks().await;
    setup.upload(&[("a.txt", "The tide turns."), ("b.txt", "Ebb."), ("c.txt", "Flood.")]).await;
    // One item a batch: the next one waits until the run before has ended.
    setup.app.sql("update workspace_quota set chunks = null, runs = 1").await;
    assert_eq!(retry(&setup, &json!({})).await.expect(202)["items"], 3);
    wait_until("three files are ready", async || (files_in(&setup, "ready").await == 3).then_some(())).await;
    let sql = "select count(*) as n from run_item_log where kind = 'retried'";
    let retried: i64 = setup.app.rows(sql).await[0].try_get("", "n").unwrap();
    assert_eq!(retried, 3, "each item is retried once");
    setup.app.stop().await;
}

#[actix_web::test]
async fn failure_that_a_later_item_has_remedied_is_not_retried() {
    let (setup, pipeline) = setup_without_chunks().await;
    setup.upload(&[("a.txt", "The tide turns."), ("b.txt", "Ebb.")]).await;
    allow_chunks(&setup).await;
    let one = |field: &str, value: &str| json!({ "field": field, "op": "eq", "value": value });
    let failed = [one("state", "failed"), one("failure", "quota_exceeded"), one("name", "a.txt")];
    let body = json!({ "filter": { "and": failed } });
    setup.app.post(&setup.ada, &setup.path(&format!("{pipeline}/runs")), &body).await.expect(202);
    wait_until("the run has ended", async || {
        let runs = setup.get("runs?trigger=manual&state=completed").await;
        (runs["items"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    assert_eq!(retry(&setup, &json!({})).await.expect(202)["items"], 1, "that of the other file is left");
    wait_until("the other file is ready", async || (files_in(&setup, "ready").await == 1).then_some(())).await;
    assert_eq!(setup.live_chunks().await["default"], ["Ebb.", "The tide turns."]);
    setup.app.stop().await;
}

#[actix_web::test]
async fn invalid_retries_are_rejected() {
    let (setup, _) = setup_without_chunks().await;
    for body in [json!({ "code": "tired" }), json!({ "limit": 0 }), json!({ "since": "today" })] {
        retry(&setup, &body).await.problem(422, "invalid_body");
    }
    let unknown = json!({ "pipeline": "019ab1c4-1f00-7aa1-8b1c-0d3c9a7e5f10" });
    retry(&setup, &unknown).await.problem(404, "not_found");
    setup.app.stop().await;
}

#[actix_web::test]
async fn retried_run_goes_on_with_its_cancelled_items() {
    let setup = Setup::of(TestApp::start_with_worker(&[("NVISY_WORKER_MODEL_SLOTS", "1")]).await).await;
    let server = ModelServer::start().await;
    let mut requests = 0;
    server.respond(move |request| {
        requests += 1;
        if requests == 1 {
            return model_response("422", "", "{}");
        }
        let items = json!([{ "id": request.body["data"]["items"][0]["id"], "metadata": { "seen": true } }]);
        model_response("200", "", &json!({ "items": items }).to_string())
    });
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "manual" },
        { "id": "read", "type": "partition" },
        { "id": "step", "type": "http", "url": server.base_url, "onError": "fail_run" },
        { "id": "out", "type": "sink.file", "suffix": ".out.json", "format": "json" },
    ]);
    let pipeline = setup.pipeline("Steps", &definition(&nodes, &["in > read", "read > step", "step > out"])).await;
    let parts = ["a", "b", "c"].map(|name| part(&format!("{name}.txt"), format!("The gauge {name} was read.")));
    setup.app.upload(&setup.ada, &setup.workspace, parts.into()).await.expect(202);
    let started = setup.app.post(&setup.ada, &setup.path(&format!("{pipeline}/runs")), &json!({})).await.expect(202);
    let run = format!("runs/{}", started["id"].as_str().unwrap());
    let failed = setup.ended_run(&run).await;
    assert_eq!((&failed["state"], &failed["itemsFailed"]), (&json!("failed"), &json!(1)), "{failed}");
    let items = setup.get(&format!("{run}/items?state=failed")).await;
    let code = &items["items"][0]["failure"]["code"];

    let path = setup.path(&format!("{run}/retry"));
    setup.app.post(&setup.ada, &path, &json!({ "code": code })).await.expect(202);
    let partly = setup.ended_run(&run).await;
    assert_eq!((&partly["state"], &partly["itemsFailed"]), (&json!("completed_with_errors"), &json!(0)), "{partly}");
    let open = setup.app.post(&setup.ada, &path, &json!({})).await.expect(202);
    assert_eq!((&open["state"], &open["itemsOpen"]), (&json!("running"), &json!(2)), "{open}");
    let completed = setup.ended_run(&run).await;
    assert_eq!((&completed["state"], &completed["items"]), (&json!("completed"), &json!(3)), "{completed}");
    assert_eq!(setup.app.count("file where name like '%.out.json'").await, 3);
    assert_eq!(setup.app.count("workspace_usage where runs <> 0").await, 0);
    setup.app.stop().await;
}

#[actix_web::test]
async fn retried_run_takes_the_files_that_had_not_entered() {
    let mut setup = Setup::of(TestApp::start_with(&[("NVISY_EMBEDDING_PROVIDER", "local")]).await).await;
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "manual" },
        { "id": "out", "type": "sink.file", "suffix": ".copy" },
    ]);
    let pipeline = setup.pipeline("Copies", &definition(&nodes, &["in > out"])).await;
    setup.upload(&[("a.txt", "The tide turns."), ("b.txt", "Ebb.")]).await;
    let started = setup.app.post(&setup.ada, &setup.path(&format!("{pipeline}/runs")), &json!({})).await.expect(202);
    let run = format!("runs/{}", started["id"].as_str().unwrap());
    setup.app.post(&setup.ada, &setup.path(&format!("{run}/cancel")), &json!({})).await.expect(200);
    let open = setup.app.post(&setup.ada, &setup.path(&format!("{run}/retry")), &json!({})).await.expect(202);
    assert_eq!((&open["state"], &open["admitted"]), (&json!("running"), &json!(false)), "{open}");
    setup.app.start_worker().await;
    let completed = setup.ended_run(&run).await;
    assert_eq!((&completed["state"], &completed["items"]), (&json!("completed"), &json!(2)), "{completed}");
    assert_eq!(setup.app.count("file where name like '%.copy'").await, 2);
    setup.app.stop().await;
}

#[actix_web::test]
async fn retried_mail_does_not_add_its_attachments_again() {
    let setup = Setup::with_worker().await;
    let server = ModelServer::start().await;
    server.respond(|request| {
        let items = request.body["data"]["items"].as_array().cloned().unwrap_or_default();
        let items: Vec<_> =
            items.iter().map(|item| json!({ "id": item["id"], "metadata": { "seen": true } })).collect();
        model_response("200", "", &json!({ "items": items }).to_string())
    });
    server.hold();
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "manual" },
        { "id": "open", "type": "unpack" },
        { "id": "read", "type": "partition" },
        { "id": "step", "type": "http", "url": server.base_url, "requestTimeoutSeconds": 600 },
        { "id": "out", "type": "sink.file", "suffix": ".out.json", "format": "json" },
    ]);
    let edges = ["in > open", "open.members > read", "open.else > read", "read > step", "step > out"];
    let pipeline = setup.pipeline("Mails", &definition(&nodes, &edges)).await;
    let mail = "from: ada@example.org\r\nsubject: Tides\r\nmime-version: 1.0\r\n\
                content-type: multipart/mixed; boundary=x\r\n\r\n--x\r\ncontent-type: text/plain\r\n\r\nSee below.\r\n\
                --x\r\ncontent-type: text/plain\r\ncontent-disposition: attachment; filename=\"tide.txt\"\r\n\r\n\
                Spring tides are high.\r\n--x--\r\n";
    let files = setup.upload(&[("report.eml", mail)]).await;
    let body = json!({ "files": [files["report.eml"]["id"]] });
    let started = setup.app.post(&setup.ada, &setup.path(&format!("{pipeline}/runs")), &body).await.expect(202);
    let (id, run) = (started["id"].as_str().unwrap(), format!("runs/{}", started["id"].as_str().unwrap()));
    let open = format!("run_item where run_id = '{id}' and state in ('queued', 'running')");
    wait_until("the mail and its attachment wait for the service", async || {
        (!server.requests().is_empty() && setup.app.count(&open).await == 2).then_some(())
    })
    .await;
    setup.app.post(&setup.ada, &setup.path(&format!("{run}/cancel")), &json!({})).await.expect(200);
    server.release();
    setup.app.post(&setup.ada, &setup.path(&format!("{run}/retry")), &json!({})).await.expect(202);
    let completed = setup.ended_run(&run).await;
    assert_eq!((&completed["state"], &completed["items"]), (&json!("completed"), &json!(2)), "{completed}");
    assert_eq!(setup.app.count("file where name like '%.out.json'").await, 2);
    setup.app.stop().await;
}
