//! Runs over files that exist: starting and steering them, their items, logs and artifacts, and what is stale.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, TestResponse, part, send};

const TIDES: &str = "The tide turns twice a day, and the power station stands still until the water rises again.";

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
    /// The path of an enabled pipeline that only requests start.
    pipeline: String,
}

impl Setup {
    /// With the built-in pipeline disabled: uploads start nothing.
    async fn of(app: TestApp) -> Self {
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        let mut setup = Self { app, ada, workspace, pipeline: String::new() };
        let list = setup.get("pipelines").await;
        let builtin = format!("pipelines/{}", list["items"][0]["id"].as_str().unwrap());
        setup.patch(&builtin, &json!({ "state": "disabled" })).await;
        setup.pipeline = setup.create_pipeline("Long texts", &definition(200)).await;
        setup.patch(&setup.pipeline, &json!({ "state": "enabled" })).await;
        setup
    }

    async fn new() -> Self {
        Self::of(TestApp::start().await).await
    }

    async fn with_worker() -> Self {
        Self::of(TestApp::start_with_worker(&[]).await).await
    }

    fn path(&self, path: &str) -> String {
        format!("/api/v1/workspaces/{}/{path}", self.workspace)
    }

    async fn get(&self, path: &str) -> Value {
        self.app.get(&self.ada, &self.path(path)).await.expect(200)
    }

    async fn post(&self, path: &str, body: &Value) -> TestResponse {
        self.app.post(&self.ada, &self.path(path), body).await
    }

    async fn patch(&self, path: &str, body: &Value) -> Value {
        self.app.patch(&self.ada, &self.path(path), body).await.expect(200)
    }

    async fn create_pipeline(&self, name: &str, definition: &Value) -> String {
        let created = self.post("pipelines", &json!({ "name": name, "definition": definition })).await.expect(201);
        format!("pipelines/{}", created["id"].as_str().unwrap())
    }

    /// Uploads files; returns their ids.
    async fn upload(&self, files: &[(&str, &str)]) -> Vec<String> {
        let parts = files.iter().map(|(name, content)| part(name, (*content).to_owned())).collect();
        let accepted = self.app.upload(&self.ada, &self.workspace, parts).await.expect(202);
        let ids = accepted["items"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap().to_owned());
        ids.collect()
    }

    async fn start(&self, body: &Value) -> Value {
        self.post(&format!("{}/runs", self.pipeline), body).await.expect(202)
    }

    /// The run when it has ended.
    async fn ended(&self, run: &Value) -> Value {
        let path = self.path(&format!("runs/{}", run["id"].as_str().unwrap()));
        self.app.ended_run(&self.ada, &path).await
    }

    async fn items(&self, run: &Value, query: &str) -> Vec<Value> {
        let list = self.get(&format!("runs/{}/items{query}", run["id"].as_str().unwrap())).await;
        list["items"].as_array().unwrap().clone()
    }

    async fn artifacts(&self, item: &Value) -> (String, Vec<Value>) {
        let (run, item) = (item["runId"].as_str().unwrap(), item["id"].as_str().unwrap());
        let path = format!("runs/{run}/items/{item}/artifacts");
        let list = self.get(&path).await;
        (path, list["items"].as_array().unwrap().clone())
    }

    /// The elements of an artifact.
    async fn elements(&self, path: &str, artifact: &Value) -> Vec<Value> {
        let path = self.path(&format!("{path}/{}", artifact["id"].as_str().unwrap()));
        let response = self.app.get(&self.ada, &path).await;
        assert_eq!(response.status, 200, "{}", response.text);
        assert_eq!(response.header("content-type"), "application/jsonl");
        response.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The types of the events, with the state of ended runs.
    async fn events(&self) -> Vec<String> {
        let sql = "select type || coalesce(' ' || (data ->> 'state'), '') as type from event
                   where type like 'run.%' or type like 'item.%' order by seq";
        self.app.rows(sql).await.iter().map(|row| row.try_get("", "type").unwrap()).collect()
    }
}

/// A pipeline that takes texts of more than ten characters, and cuts them at a length.
fn definition(max_characters: u32) -> Value {
    json!({
        "schemaVersion": 1,
        "nodes": [
            { "id": "in", "type": "source.files", "trigger": "manual" },
            { "id": "read", "type": "partition" },
            { "id": "long", "type": "check", "expression": "document.characters > 10", "severity": "block" },
            { "id": "cut", "type": "chunk.characters", "maxCharacters": max_characters },
            { "id": "vec", "type": "embed" },
            { "id": "out", "type": "sink.collection" },
        ],
        "edges": [
            { "from": "in", "to": "read" }, { "from": "read", "to": "long" }, { "from": "long", "to": "cut" },
            { "from": "cut", "to": "vec" }, { "from": "vec", "to": "out" },
        ],
    })
}

#[actix_web::test]
async fn run_shows_counts_items_nodes_logs_and_artifacts() {
    let setup = Setup::with_worker().await;
    let files = setup.upload(&[("tides.txt", TIDES), ("short.txt", "Ebb."), ("other.md", TIDES)]).await;
    let filter = json!({ "field": "name", "op": "in", "value": ["tides.txt", "short.txt"] });
    let run = setup.ended(&setup.start(&json!({ "files": files, "filter": filter })).await).await;
    assert_eq!(run["state"], "completed_with_errors", "{run}");
    assert_eq!((&run["items"], &run["itemsOpen"], &run["itemsFailed"]), (&json!(2), &json!(0), &json!(1)), "{run}");
    assert_eq!(
        (&run["trigger"], &run["startedBy"], &run["admitted"]),
        (&json!("manual"), &json!(setup.ada.id), &json!(true))
    );
    assert!(run["recomputed"].as_i64().unwrap() > 0 && run["tokens"].as_i64().unwrap() > 0, "{run}");
    let mut events = setup.events().await;
    assert_eq!(events.pop().unwrap(), "run.ended completed_with_errors");
    assert_eq!(events[0], "run.started");
    events.sort();
    assert_eq!(events, ["item.failed", "run.progressed", "run.started"]);

    let failed = setup.items(&run, "?state=failed").await;
    assert_eq!(failed.len(), 1);
    let failure = &failed[0]["failure"];
    assert_eq!(
        (&failure["node"], &failure["code"], &failure["attempt"]),
        (&json!("long"), &json!("check_failed"), &json!(1))
    );
    assert_eq!(failed[0]["fileId"], json!(files[1]));
    assert_eq!(setup.items(&run, "?code=check_failed").await, failed);
    assert!(setup.items(&run, "?code=corrupt").await.is_empty());
    let path = format!("runs/{}/items/{}", run["id"].as_str().unwrap(), failed[0]["id"].as_str().unwrap());
    assert_eq!(setup.get(&path).await, failed[0]);
    let log = setup.get(&format!("{path}/log")).await;
    assert!(log["items"].as_array().unwrap().iter().any(|entry| entry["kind"] == "failed"), "{log}");

    let done = setup.items(&run, "?state=done").await;
    let cut = done[0]["nodes"].as_array().unwrap().iter().find(|node| node["node"] == "cut").unwrap();
    let tokens = cut["outputs"][0]["tokens"].as_u64().unwrap();
    assert_eq!(cut["outputs"], json!([{ "port": "out", "elements": 1, "tokens": tokens }]), "{done:?}");
    let vec = done[0]["nodes"].as_array().unwrap().iter().find(|node| node["node"] == "vec").unwrap();
    let given = |node: &Value| node["tokens"].as_u64().unwrap() + node["tokensSaved"].as_u64().unwrap();
    assert!(tokens > 0 && given(vec) > 0 && given(cut) == 0, "{done:?}");
    let (path, artifacts) = setup.artifacts(&done[0]).await;
    let chunks = artifacts.iter().find(|artifact| artifact["node"] == "cut").unwrap();
    assert_eq!((&chunks["flow"], &chunks["elements"]), (&json!("chunks"), &json!(1)));
    let chunks = setup.elements(&path, chunks).await;
    assert_eq!((&chunks[0]["text"], &chunks[0]["bytes"]), (&json!(TIDES), &json!({ "start": 0, "end": TIDES.len() })));

    let list = setup.get("runs?state=completed_with_errors&trigger=manual").await;
    assert_eq!(list["items"], json!([run]));
    assert_eq!(setup.get("runs?state=running").await["items"], json!([]));
    let query = setup.path("runs?state=asleep");
    setup.app.get(&setup.ada, &query).await.problem(400, "invalid_query");
    setup.app.stop().await;
}

#[actix_web::test]
async fn preview_waits_writes_nothing_and_shows_the_output_of_every_node() {
    let setup = Setup::with_worker().await;
    let files = setup.upload(&[("tides.txt", TIDES)]).await;
    let draft = setup.create_pipeline("Draft", &definition(200)).await;
    let body = json!({ "files": files, "definition": definition(50), "waitSeconds": 30 });
    let run = setup.post(&format!("{draft}/preview"), &body).await.expect(202);
    assert_eq!((&run["state"], &run["trigger"]), (&json!("completed"), &json!("preview")), "{run}");
    let items = setup.items(&run, "").await;
    let (path, artifacts) = setup.artifacts(&items[0]).await;
    let nodes: Vec<_> = artifacts.iter().map(|artifact| artifact["node"].as_str().unwrap()).collect();
    assert_eq!(nodes, ["in", "read", "long", "cut", "vec"]);
    let chunks = setup.elements(&path, &artifacts[3]).await;
    assert!(chunks.len() >= 2, "{chunks:?}");
    for chunk in &chunks {
        let place = |end: &str| usize::try_from(chunk["bytes"][end].as_u64().unwrap()).unwrap();
        assert_eq!(chunk["text"], TIDES[place("start")..place("end")]);
    }
    for table in ["chunk", "embedding", "target"] {
        assert_eq!(setup.app.count(table).await, 0, "{table}");
    }
    // No list shows the pipeline of the definition, and nothing changes it.
    assert_eq!(setup.get("pipelines").await["items"].as_array().unwrap().len(), 3);
    let inline = setup.path(&format!("pipelines/{}", run["pipelineId"].as_str().unwrap()));
    setup.app.patch(&setup.ada, &inline, &json!({ "state": "enabled" })).await.problem(404, "not_found");
    setup.app.stop().await;
}

#[actix_web::test]
async fn preview_of_a_sample_takes_the_newest_files_of_the_source_and_shows_reused_outputs() {
    let setup = Setup::with_worker().await;
    let names = [("a.txt", TIDES), ("b.txt", TIDES), ("c.txt", TIDES), ("d.md", TIDES)];
    let files = setup.upload(&names).await;
    let mut sampled = definition(200);
    sampled["nodes"][0]["filter"] = json!({ "field": "name", "op": "in", "value": ["a.txt", "b.txt", "c.txt"] });
    let draft = setup.create_pipeline("Sampled", &sampled).await;
    let run = setup.post("runs", &json!({ "definition": sampled, "files": files })).await.expect(202);
    setup.ended(&run).await;
    let preview = async |body: Value| setup.post(&format!("{draft}/preview"), &body).await;
    for _ in 0..2 {
        let run = preview(json!({ "sample": 2, "waitSeconds": 30 })).await.expect(202);
        assert_eq!(run["state"], "completed", "{run}");
        let items = setup.items(&run, "").await;
        let mut of: Vec<&str> = items.iter().map(|item| item["fileId"].as_str().unwrap()).collect();
        of.sort_unstable();
        assert_eq!(of, [files[1].as_str(), files[2].as_str()], "{items:?}");
        // The run before has computed the same outputs.
        let read = items[0]["nodes"].as_array().unwrap().iter().find(|node| node["node"] == "read").unwrap();
        assert_eq!((&read["reused"], &read["outputs"][0]["elements"]), (&json!(true), &json!(1)), "{read}");
        let (path, artifacts) = setup.artifacts(&items[0]).await;
        let nodes: Vec<_> = artifacts.iter().map(|artifact| artifact["node"].as_str().unwrap()).collect();
        assert_eq!(nodes, ["in", "read", "long", "cut", "vec"]);
        let chunks = setup.elements(&path, &artifacts[3]).await;
        assert_eq!((&chunks[0]["text"], &chunks[0]["bytes"]["end"]), (&json!(TIDES), &json!(TIDES.len())));
    }
    for body in [json!({}), json!({ "sample": 1, "files": files }), json!({ "sample": 0 }), json!({ "sample": 11 })] {
        preview(body).await.problem(422, "invalid_body");
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn fork_reuses_outputs_and_recomputes_from_the_named_node() {
    let setup = Setup::with_worker().await;
    let files = setup.upload(&[("tides.txt", TIDES), ("short.txt", "Ebb.")]).await;
    let run = setup.ended(&setup.start(&json!({ "files": files })).await).await;
    let fork = |body: Value| {
        let path = format!("runs/{}/fork", run["id"].as_str().unwrap());
        let setup = &setup;
        async move { setup.ended(&setup.post(&path, &body).await.expect(202)).await }
    };
    let same = fork(json!({ "state": "done" })).await;
    assert_eq!((&same["items"], &same["originRunId"]), (&json!(1), &run["id"]), "{same}");
    assert_eq!(same["state"], "completed");
    assert!(same["reused"].as_i64().unwrap() > 0, "{same}");
    let again = fork(json!({ "state": "done", "fromNode": "read" })).await;
    assert!(again["recomputed"].as_i64() > same["recomputed"].as_i64(), "{same} {again}");
    setup.patch(&setup.pipeline, &json!({ "definition": definition(50) })).await;
    let newer = fork(json!({ "state": "done", "version": 2 })).await;
    assert_eq!((&newer["pipelineVersion"], &newer["state"]), (&json!(2), &json!("completed")), "{newer}");
    assert!(setup.app.chunks(&files[0]).await.len() >= 2);
    let path = format!("runs/{}/fork", run["id"].as_str().unwrap());
    for body in
        [json!({ "version": 9 }), json!({ "fromNode": "none" }), json!({ "version": 1, "definition": definition(9) })]
    {
        setup.post(&path, &body).await.problem(422, "invalid_body");
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn failed_items_are_retried_by_code_and_one_by_one() {
    let setup = Setup::with_worker().await;
    let files = setup.upload(&[("short.txt", "Ebb."), ("tides.txt", TIDES)]).await;
    let run = setup.ended(&setup.start(&json!({ "files": files })).await).await;
    // As if the item had got further before it failed.
    setup.app.sql("update run_item set tokens = 7 where state = 'failed'").await;
    setup.app.sql("update run set tokens = tokens + 7 where items_failed = 1").await;
    let path = format!("runs/{}", run["id"].as_str().unwrap());
    let none = setup.post(&format!("{path}/retry"), &json!({ "code": "corrupt" })).await.expect(202);
    assert_eq!(none["state"], "completed_with_errors");
    setup.post(&format!("{path}/retry"), &json!({ "code": "tired" })).await.problem(422, "invalid_body");
    let open = setup.post(&format!("{path}/retry"), &json!({ "code": "check_failed" })).await.expect(202);
    assert_eq!((&open["state"], &open["itemsOpen"], &open["itemsFailed"]), (&json!("running"), &json!(1), &json!(0)));
    let ended = setup.ended(&open).await;
    assert_eq!((&ended["items"], &ended["itemsFailed"]), (&json!(2), &json!(1)), "{ended}");
    let tokens = run["tokens"].as_i64().unwrap() + 7;
    assert_eq!(ended["tokens"], tokens, "an item that is retried counts twice: {ended}");
    let failed = setup.items(&run, "?state=failed").await;
    let item = format!("{path}/items/{}", failed[0]["id"].as_str().unwrap());
    let retried = setup.post(&format!("{item}/retry"), &json!({})).await.expect(202);
    assert_eq!((&retried["state"], &retried["failure"]), (&json!("queued"), &Value::Null), "{retried}");
    setup.ended(&run).await;
    let log = setup.get(&format!("{item}/log")).await;
    let kinds: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "retried").count(), 2, "{log}");
    let done = setup.items(&run, "?state=done").await;
    let item = format!("{path}/items/{}/retry", done[0]["id"].as_str().unwrap());
    setup.post(&item, &json!({})).await.problem(409, "not_failed");
    setup.app.stop().await;
}

#[actix_web::test]
async fn failed_items_of_a_large_run_share_events() {
    let setup = Setup::with_worker().await;
    let files = setup.upload(&[("short.txt", "Ebb."), ("other.txt", "Flood.")]).await;
    let run = setup.ended(&setup.start(&json!({ "files": files })).await).await;
    let failed = "select data ->> 'failed' as failed from event where type = 'item.failed' order by seq";
    let counts = async || -> Vec<String> {
        setup.app.rows(failed).await.iter().map(|row| row.try_get("", "failed").unwrap()).collect()
    };
    assert_eq!(counts().await, ["1", "2"]);
    // As if there had been a thousand.
    setup.app.sql("update run set items = 1000, items_failed = 500 where trigger = 'manual'").await;
    let path = format!("runs/{}", run["id"].as_str().unwrap());
    let open = setup.post(&format!("{path}/retry"), &json!({})).await.expect(202);
    assert_eq!((&open["itemsOpen"], &open["itemsFailed"]), (&json!(2), &json!(498)), "{open}");
    assert_eq!(setup.ended(&open).await["itemsFailed"], 500);
    assert_eq!(counts().await, ["1", "2", "500"], "the failure before completes no percent");
    setup.app.stop().await;
}

#[actix_web::test]
async fn cancelled_run_has_no_jobs_and_is_cancelled_once() {
    let setup = Setup::new().await;
    let files = setup.upload(&[("tides.txt", TIDES)]).await;
    let run = setup.start(&json!({ "files": files, "lowPriority": true })).await;
    assert_eq!((&run["trigger"], &run["lowPriority"]), (&json!("backfill"), &json!(true)));
    let path = format!("runs/{}/cancel", run["id"].as_str().unwrap());
    let cancelled = setup.post(&path, &json!({})).await.expect(200);
    assert_eq!((&cancelled["state"], &cancelled["itemsOpen"]), (&json!("cancelled"), &json!(0)), "{cancelled}");
    assert!(cancelled["finishedAt"].is_string());
    assert_eq!(setup.app.count("job where run_id is not null").await, 0);
    setup.post(&path, &json!({})).await.problem(409, "run_ended");
    assert_eq!(setup.events().await, ["run.started", "run.ended cancelled"]);
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn inline_run_needs_no_stored_pipeline() {
    let setup = Setup::with_worker().await;
    let files = setup.upload(&[("tides.txt", TIDES)]).await;
    let body = json!({ "definition": definition(50), "files": files });
    let run = setup.ended(&setup.post("runs", &body).await.expect(202)).await;
    assert_eq!((&run["state"], &run["trigger"]), (&json!("completed"), &json!("inline")), "{run}");
    assert!(setup.app.chunks(&files[0]).await.len() >= 2);
    let invalid =
        setup.post("runs", &json!({ "definition": { "schemaVersion": 1, "nodes": [], "edges": [{}] } })).await;
    assert!(invalid.problem(422, "invalid_body")["errors"].as_array().unwrap().len() > 1);
    let mut elsewhere = definition(50);
    elsewhere["nodes"][5]["collection"] = json!("elsewhere");
    setup.post("runs", &json!({ "definition": elsewhere })).await.problem(409, "pipeline_not_runnable");
    setup.app.stop().await;
}

#[actix_web::test]
async fn run_that_cannot_start_is_refused_with_its_reason() {
    let setup = Setup::of(TestApp::start_with(&[("NVISY_QUOTA_RUNS", "1")]).await).await;
    let files = setup.upload(&[("tides.txt", TIDES)]).await;
    let runs = format!("{}/runs", setup.pipeline);
    let other = setup.app.create_account("other").await;
    let (_, foreign) = setup.app.create_workspace_with_file(&other).await;
    setup.post(&runs, &json!({ "files": [files[0], foreign] })).await.problem(404, "not_found");
    for body in [
        json!({ "filter": { "field": "colour", "op": "eq", "value": "blue" } }),
        json!({ "recomputeFrom": "none" }),
        json!({ "files": [] }),
        json!({ "limit": 0 }),
    ] {
        setup.post(&runs, &body).await.problem(422, "invalid_body");
    }
    let draft = setup.create_pipeline("Draft", &definition(200)).await;
    setup.post(&format!("{draft}/runs"), &json!({})).await.problem(409, "pipeline_not_enabled");
    setup.patch(&setup.pipeline, &json!({ "state": "disabled" })).await;
    setup.post(&runs, &json!({})).await.problem(409, "pipeline_not_enabled");
    setup.patch(&setup.pipeline, &json!({ "state": "enabled" })).await;

    let start = || {
        let request = setup.app.request(Method::POST, &setup.path(&runs)).bearer_auth(&setup.ada.token);
        request.header("idempotency-key", "refresh").json(&json!({}))
    };
    let first = send(start()).await;
    let location = first.header("location").to_owned();
    let first = first.expect(202);
    assert_eq!(location, setup.path(&format!("runs/{}", first["id"].as_str().unwrap())));
    assert_eq!(send(start()).await.expect(202), first);
    assert_eq!(setup.app.count("run where trigger = 'manual'").await, 1);
    setup.post(&runs, &json!({})).await.problem(409, "quota_exceeded");
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn staleness_counts_items_of_older_definitions_and_older_code() {
    let setup = Setup::with_worker().await;
    let files = setup.upload(&[("tides.txt", TIDES), ("other.txt", &TIDES.to_uppercase())]).await;
    setup.ended(&setup.start(&json!({ "files": files })).await).await;
    let path = format!("{}/staleness", setup.pipeline);
    let fresh = setup.get(&path).await;
    assert_eq!((&fresh["items"], &fresh["stale"]), (&json!(2), &json!(0)), "{fresh}");
    // As if the code of a type had been raised since.
    setup.app.sql("update run set code_versions = jsonb_set(code_versions, '{embed}', '0')").await;
    let older = setup.get(&path).await;
    assert_eq!(
        (&older["stale"], &older["olderCode"], &older["olderVersion"]),
        (&json!(2), &json!(2), &json!(0)),
        "{older}"
    );
    assert_eq!((&older["nodeTypes"][0]["type"], &older["nodeTypes"][0]["from"]), (&json!("embed"), &json!(0)));
    assert_eq!((&older["refresh"]["files"], &older["refresh"]["chunks"]), (&json!(2), &json!(2)));
    assert!(older["refresh"]["tokens"].as_i64().unwrap() > 20, "{older}");
    setup.patch(&setup.pipeline, &json!({ "definition": definition(100) })).await;
    assert_eq!(setup.get(&path).await["olderVersion"], 2);
    setup.ended(&setup.start(&json!({})).await).await;
    assert_eq!(setup.get(&path).await["stale"], 0);
    setup.app.stop().await;
}
