//! Runs with a definition and files of their own.

use nvisy_shared::domain::role::Permission;
use reqwest::{Method, multipart::Form};
use serde_json::{Value, json};

use crate::support::{Setup, TestAccount, TestResponse, definition, part, send, wait_until};

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
    let path = format!("runs/{}", run["id"].as_str().unwrap());
    wait_until("the run has ended", async || {
        let run = setup.get(&path).await;
        run["finishedAt"].is_string().then_some(run)
    })
    .await
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
