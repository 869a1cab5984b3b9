//! Pipelines: definitions, versions, validation, plans, states.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, TestResponse, part, send};

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
    pipelines: String,
}

impl Setup {
    async fn new() -> Self {
        Self::of(TestApp::start().await).await
    }

    async fn of(app: TestApp) -> Self {
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        let pipelines = format!("/api/v1/workspaces/{workspace}/pipelines");
        Self { app, ada, workspace, pipelines }
    }

    async fn get(&self, path: &str) -> TestResponse {
        self.app.get(&self.ada, path).await
    }

    async fn create(&self, name: &str, definition: &Value) -> TestResponse {
        self.app.post(&self.ada, &self.pipelines, &json!({ "name": name, "definition": definition })).await
    }

    async fn patch(&self, path: &str, body: Value, tag: Option<&str>) -> TestResponse {
        self.app.patch_if(&self.ada, path, &body, tag).await
    }

    async fn delete(&self, path: &str) -> TestResponse {
        send(self.app.request(Method::DELETE, path).bearer_auth(&self.ada.token)).await
    }

    /// The path of the pipeline that the workspace was created with.
    async fn builtin(&self) -> String {
        let list = self.get(&self.pipelines).await.expect(200);
        let items = list["items"].as_array().unwrap();
        let builtin = items.iter().find(|pipeline| pipeline["builtin"] == true).unwrap();
        assert_eq!((&builtin["name"], &builtin["state"]), (&json!("default"), &json!("enabled")));
        format!("{}/{}", self.pipelines, builtin["id"].as_str().unwrap())
    }
}

/// A definition with a switch and a trigger by request only.
fn languages() -> Value {
    json!({
        "schemaVersion": 1,
        "nodes": [
            { "id": "in", "type": "source.files", "trigger": "manual" },
            { "id": "read", "type": "partition" },
            { "id": "lang", "type": "switch.language", "branches": { "german": ["de"] } },
            { "id": "test", "type": "check", "expression": "document.characters > 0", "severity": "block" },
            { "id": "cut", "type": "chunk.section", "maxTokens": 240, "retry": { "attempts": 3 } },
            { "id": "vec", "type": "embed" },
            { "id": "out", "type": "sink.collection" },
        ],
        "edges": [
            { "from": "in", "to": "read" }, { "from": "read", "to": "lang" }, { "from": "lang.german", "to": "test" },
            { "from": "lang.else", "to": "cut" }, { "from": "test", "to": "cut" }, { "from": "cut", "to": "vec" },
            { "from": "vec", "to": "out" },
        ],
    })
}

#[actix_web::test]
async fn export_creates_a_pipeline_with_the_same_definition() {
    let setup = Setup::new().await;
    let created = setup.create(" Languages ", &languages()).await;
    let path = created.header("location").to_owned();
    let created = created.expect(201);
    assert_eq!((&created["name"], &created["state"]), (&json!("Languages"), &json!("draft")));
    assert_eq!(created["definition"], languages());
    assert_eq!(setup.get(&path).await.expect(200), created);

    let mut export = setup.get(&format!("{path}/export")).await.expect(200);
    assert_eq!(export, json!({ "name": "Languages", "definition": languages() }));
    setup.app.post(&setup.ada, &setup.pipelines, &export).await.problem(409, "name_taken");
    export["name"] = json!("Copy");
    let copy = setup.app.post(&setup.ada, &setup.pipelines, &export).await;
    let copied = format!("{}/export", copy.header("location"));
    assert_eq!(setup.get(&copied).await.expect(200), export);

    setup.app.stop().await;
}

#[actix_web::test]
async fn changed_definition_becomes_a_version_and_old_ones_stay() {
    let setup = Setup::new().await;
    let path = setup.create("Languages", &languages()).await.header("location").to_owned();
    let first = setup.get(&path).await;
    let tag = first.header("etag").to_owned();
    first.expect(200);
    let mut changed = languages();
    changed["nodes"][4]["maxTokens"] = json!(200);
    changed["nodes"].as_array_mut().unwrap().push(json!({ "id": "file", "type": "sink.file", "suffix": ".txt" }));
    changed["edges"].as_array_mut().unwrap().push(json!({ "from": "read", "to": "file" }));
    let updated = setup.patch(&path, json!({ "definition": changed, "name": "Both" }), Some(&tag)).await;
    let next = updated.header("etag").to_owned();
    assert_ne!(next, tag);
    assert_eq!(updated.expect(200)["version"], 2);
    // The same content again is no change, and an outdated tag is refused.
    let same = setup.patch(&path, json!({ "definition": changed, "name": "Both" }), None).await;
    assert_eq!(same.header("etag"), next);
    setup.patch(&path, json!({ "name": "Other" }), Some(&tag)).await.problem(412, "precondition_failed");

    let versions = setup.get(&format!("{path}/versions?limit=1")).await.expect(200);
    assert_eq!(versions["items"][0]["number"], 2);
    let cursor = versions["nextCursor"].as_str().unwrap();
    let versions = setup.get(&format!("{path}/versions?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!(versions["items"][0]["number"], 1);
    let old = setup.get(&format!("{path}/versions/1")).await.expect(200);
    assert_eq!(old["definition"], languages());
    for unknown in ["versions/3", "versions/x", "plan?version=3", "diff?from=3"] {
        setup.get(&format!("{path}/{unknown}")).await.problem(404, "not_found");
    }

    let diff = setup.get(&format!("{path}/diff")).await.expect(200);
    assert_eq!((&diff["from"], &diff["to"]), (&json!(1), &json!(2)));
    assert_eq!(diff["nodesAdded"], json!(["file"]));
    assert_eq!(
        diff["nodesChanged"],
        json!([{ "id": "cut", "fields": [{ "field": "maxTokens", "from": 240, "to": 200 }] }])
    );
    assert_eq!(diff["edgesAdded"], json!([{ "from": "read", "to": "file" }]));
    let back = setup.get(&format!("{path}/diff?from=2&to=1")).await.expect(200);
    assert_eq!(back["nodesRemoved"], json!(["file"]));

    let plan = setup.get(&format!("{path}/plan?version=1")).await.expect(200);
    assert_eq!(plan["segments"][1]["inputs"], json!(["cut"]));
    assert!(plan["mermaid"].as_str().unwrap().contains("n_cut ==>|\"chunks\"| n_vec"), "{plan}");

    assert_eq!(setup.delete(&path).await.status, 204);
    setup.get(&path).await.problem(404, "not_found");
    let log = setup.get(&format!("/api/v1/workspaces/{}/activities", setup.workspace)).await.expect(200);
    let types: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| entry["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["pipeline.deleted", "pipeline.updated", "pipeline.created", "workspace.created"]);
    let sql = format!("select type from event where workspace_id = '{}' order by seq", setup.workspace);
    let rows = setup.app.rows(&sql).await;
    let events: Vec<String> = rows.iter().map(|row| row.try_get("", "type").unwrap()).collect();
    assert_eq!(events, ["pipeline.created", "pipeline.updated", "pipeline.deleted"]);
    setup.app.stop().await;
}

#[actix_web::test]
async fn invalid_definition_is_rejected_with_every_problem() {
    let setup = Setup::new().await;
    let mut broken = languages();
    broken["nodes"][1]["colour"] = json!("blue");
    broken["nodes"][3]["expression"] = json!("file.size");
    broken["edges"][2]["from"] = json!("lang.french");
    broken["edges"].as_array_mut().unwrap().push(json!({ "from": "cut", "to": "lang" }));
    let found = setup
        .app
        .post(&setup.ada, &format!("{}/validate", setup.pipelines), &json!({ "definition": broken }))
        .await
        .expect(200);
    assert_eq!(found["valid"], false);
    let problems = found["problems"].as_array().unwrap();
    for (code, node, field) in [
        ("unknown_field", "read", "colour"),
        ("invalid_expression", "test", "expression"),
        ("unknown_port", "lang", "edges[2].from"),
        ("cycle", "lang", "edges"),
    ] {
        let named = problems.iter().find(|problem| problem["code"] == code && problem["node"] == node);
        assert_eq!(named.unwrap_or_else(|| panic!("{code}: {found}"))["field"], field);
    }
    let rejected = setup.create("Broken", &broken).await.problem(422, "invalid_body");
    assert_eq!(rejected["errors"].as_array().unwrap().len(), problems.len());
    assert_eq!(rejected["errors"][0]["field"], "definition.nodes.read.colour");
    assert_eq!(setup.app.count("pipeline").await, 1);

    let valid = json!({ "definition": languages() });
    let found = setup.app.post(&setup.ada, &format!("{}/validate", setup.pipelines), &valid).await.expect(200);
    assert_eq!((&found["valid"], &found["problems"]), (&json!(true), &json!([])));
    assert_eq!(found["notRunnable"], json!([]));
    assert!(found["plan"]["segments"].is_array());
    setup.app.stop().await;
}

#[actix_web::test]
async fn large_definition_is_rejected() {
    let setup = Setup::new().await;
    let nodes: Vec<_> = (0..10_001).map(|index| json!({ "id": format!("n{index}"), "type": "embed" })).collect();
    let body = json!({ "definition": { "schemaVersion": 1, "nodes": nodes, "edges": [] } });
    let found = setup.app.post(&setup.ada, &format!("{}/validate", setup.pipelines), &body).await.expect(200);
    assert_eq!(found["problems"][0]["code"], "too_large");
    assert_eq!(found["problems"].as_array().unwrap().len(), 1);
    setup.app.stop().await;
}

#[actix_web::test]
async fn pipeline_with_missing_references_stays_a_draft() {
    let setup = Setup::new().await;
    let mut definition = languages();
    definition["nodes"][0]["trigger"] = json!({ "after": { "pipeline": "First" } });
    definition["nodes"][6]["collection"] = json!("german");
    let body = json!({ "definition": definition });
    let found = setup.app.post(&setup.ada, &format!("{}/validate", setup.pipelines), &body).await.expect(200);
    let codes: Vec<_> =
        found["notRunnable"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!((&found["valid"], codes), (&json!(true), vec!["unknown_pipeline", "unknown_collection"]));
    let path = setup.create("Languages", &definition).await.header("location").to_owned();
    let problem = setup.patch(&path, json!({ "state": "enabled" }), None).await;
    let problem = problem.problem(409, "pipeline_not_runnable");
    assert_eq!(problem["errors"][0]["field"], "definition.nodes.in.trigger");
    assert_eq!(problem["errors"][1]["field"], "definition.nodes.out.collection");
    assert_eq!(setup.get(&path).await.expect(200)["state"], "draft");
    assert_eq!(setup.patch(&path, json!({ "state": "disabled" }), None).await.expect(200)["state"], "disabled");
    assert_eq!(setup.patch(&path, json!({ "definition": languages() }), None).await.expect(200)["version"], 2);
    assert_eq!(setup.patch(&path, json!({ "state": "enabled" }), None).await.expect(200)["state"], "enabled");
    setup.delete(&setup.builtin().await).await.problem(409, "builtin_pipeline");
    setup.app.stop().await;
}

#[actix_web::test]
async fn pipeline_keeps_its_name_while_an_enabled_one_starts_after_it() {
    let setup = Setup::new().await;
    let first = setup.create("First", &languages()).await.header("location").to_owned();
    let mut definition = languages();
    definition["nodes"][0]["trigger"] = json!({ "after": { "pipeline": "First" } });
    let second = setup.create("Second", &definition).await.header("location").to_owned();
    setup.patch(&second, json!({ "state": "enabled" }), None).await.expect(200);
    setup.patch(&first, json!({ "name": "Start" }), None).await.problem(409, "in_use");
    assert_eq!(setup.delete(&first).await.problem(409, "in_use")["code"], "in_use");
    setup.patch(&second, json!({ "state": "disabled" }), None).await.expect(200);
    assert_eq!(setup.delete(&first).await.status, 204);
    setup.app.stop().await;
}

#[actix_web::test]
async fn pipelines_cannot_start_after_each_other_in_a_circle() {
    let setup = Setup::new().await;
    let after = |pipeline: &str| {
        let mut definition = languages();
        definition["nodes"][0]["trigger"] = json!({ "after": { "pipeline": pipeline } });
        definition
    };
    let first = setup.create("First", &languages()).await.header("location").to_owned();
    for (name, followed) in [("Second", "First"), ("Third", "Second")] {
        let path = setup.create(name, &after(followed)).await.header("location").to_owned();
        setup.patch(&path, json!({ "state": "enabled" }), None).await.expect(200);
    }
    // A draft may name any pipeline; enabled ones would start each other without end.
    setup.patch(&first, json!({ "definition": after("Third") }), None).await.expect(200);
    for followed in ["Third", "First"] {
        let body = json!({ "state": "enabled", "definition": after(followed) });
        let problem = setup.patch(&first, body, None).await.problem(409, "pipeline_not_runnable");
        assert_eq!(problem["errors"][0]["field"], "definition.nodes.in.trigger", "{problem}");
        assert!(problem["errors"][0]["message"].as_str().unwrap().contains(followed), "{problem}");
    }
    setup.patch(&first, json!({ "state": "enabled", "definition": languages() }), None).await.expect(200);
    let problem = setup.patch(&first, json!({ "definition": after("Third") }), None).await;
    problem.problem(409, "pipeline_not_runnable");
    setup.app.stop().await;
}

#[actix_web::test]
async fn upload_follows_the_changed_chunk_settings_of_the_builtin_pipeline() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let path = setup.builtin().await;
    let text = "The tide turns at noon and the turbine blades stop for an hour. ".repeat(40);
    let chunks = async |name: &str| {
        let accepted = setup.app.upload(&setup.ada, &setup.workspace, vec![part(name, text.clone())]).await.expect(202);
        let id = accepted["items"][0]["id"].as_str().unwrap();
        let file = setup.app.finished_file(&setup.ada, &setup.workspace, id).await;
        assert_eq!(file["state"], "ready", "{file}");
        file["chunkCount"].as_u64().unwrap()
    };
    let before = chunks("before.txt").await;
    let mut definition = setup.get(&path).await.expect(200)["definition"].take();
    definition["nodes"][3]["maxTokens"] = json!(32);
    assert_eq!(setup.patch(&path, json!({ "definition": definition }), None).await.expect(200)["version"], 2);
    let after = chunks("after.txt").await;
    assert!(after > 2 * before, "{before} chunks, then {after}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn upload_without_an_enabled_pipeline_is_stored_and_ready() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let path = setup.builtin().await;
    assert_eq!(setup.patch(&path, json!({ "state": "disabled" }), None).await.expect(200)["state"], "disabled");
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, vec![part("tide.txt", "noon")]).await.expect(202);
    let file = &accepted["items"][0];
    assert_eq!((&file["state"], file.get("chunkCount"), file.get("progress")), (&json!("ready"), None, None), "{file}");
    let own = format!("/api/v1/workspaces/{}/files/{}", setup.workspace, file["id"].as_str().unwrap());
    assert_eq!(setup.get(&format!("{own}/content")).await.text, "noon");
    setup.get(&format!("{own}/text")).await.problem(409, "not_extracted");
    assert_eq!((setup.app.count("job").await, setup.app.count("run").await), (0, 0));
    let sql = format!("select type from event where workspace_id = '{}' order by seq", setup.workspace);
    let rows = setup.app.rows(&sql).await;
    let events: Vec<String> = rows.iter().map(|row| row.try_get("", "type").unwrap()).collect();
    assert_eq!(events, ["pipeline.updated", "file.queued", "file.ready"]);

    assert_eq!(setup.patch(&path, json!({ "state": "enabled" }), None).await.expect(200)["state"], "enabled");
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, vec![part("ebb.txt", "ebb")]).await.expect(202);
    let id = accepted["items"][0]["id"].as_str().unwrap();
    assert_eq!(setup.app.finished_file(&setup.ada, &setup.workspace, id).await["chunkCount"], 1);
    setup.app.stop().await;
}

#[actix_web::test]
async fn repeated_creation_with_a_key_has_one_effect() {
    let setup = Setup::new().await;
    let body = json!({ "name": "Languages", "definition": languages() });
    let create = async || {
        let request = setup.app.request(Method::POST, &setup.pipelines).bearer_auth(&setup.ada.token);
        send(request.header("idempotency-key", "k1").json(&body)).await.expect(201)
    };
    assert_eq!(create().await, create().await);
    assert_eq!(setup.app.count("pipeline").await, 2);
    setup.app.stop().await;
}

#[actix_web::test]
async fn number_of_pipelines_is_limited() {
    let setup = Setup::new().await;
    let sql = format!(
        "insert into pipeline (workspace_id, id, name) select '{}', gen_random_uuid(), 'p' || n from generate_series(1, 99) n
         returning id",
        setup.workspace
    );
    assert_eq!(setup.app.rows(&sql).await.len(), 99);
    setup.create("Languages", &languages()).await.problem(409, "quota_exceeded");
    setup.app.stop().await;
}

#[actix_web::test]
async fn node_types_describe_themselves_to_editors() {
    let setup = Setup::new().await;
    let found = setup.get("/api/v1/node-types").await.expect(200);
    let items = found["items"].as_array().unwrap();
    assert_eq!(items.len(), 36);
    let chunk = items.iter().find(|item| item["type"] == "chunk.section").unwrap();
    assert_eq!((&chunk["input"], &chunk["outputs"][0]["flow"]), (&json!(["document"]), &json!("chunks")));
    assert_eq!(chunk["schema"]["properties"]["type"], json!({ "const": "chunk.section" }));
    assert_eq!(chunk["schema"]["additionalProperties"], false);
    assert!(chunk["schema"]["properties"]["maxTokens"]["description"].is_string());
    assert_eq!(found["definitionSchema"]["properties"]["nodes"]["items"]["oneOf"].as_array().unwrap().len(), 36);
    assert_eq!(found["variables"][0]["name"], "file");
    let document = setup.app.openapi().await;
    let published = &document.json()["components"]["schemas"]["NodeType"]["properties"];
    for item in items {
        for field in ["group", "cost"] {
            let (name, description) =
                (item[field].as_str().unwrap(), published[field]["description"].as_str().unwrap());
            assert!(description.contains(&format!("`{name}`")), "{name} is not in: {description}");
        }
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn pipelines_of_other_workspaces_are_not_found() {
    let setup = Setup::new().await;
    let path = setup.create("Languages", &languages()).await.header("location").to_owned();
    let other = setup.app.create_workspace(&setup.ada, "Wind").await;
    let foreign = path.replace(&setup.workspace, &other);
    setup.get(&foreign).await.problem(404, "not_found");
    setup.patch(&foreign, json!({ "name": "Mine" }), None).await.problem(404, "not_found");
    setup.delete(&foreign).await.problem(404, "not_found");
    assert_eq!(setup.get(&path).await.expect(200)["name"], "Languages");
    setup.app.stop().await;
}
