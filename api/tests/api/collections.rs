//! Collections: names, models, limits, contents, and search in some of them.

use std::time::Duration;

use nvisy_shared::lifecycle::Lifecycle;
use nvisy_worker::{app::Worker, maintenance::Schedule};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, TestResponse, part, program, send, wait_until};

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
    collections: String,
}

impl Setup {
    async fn new() -> Self {
        Self::of(TestApp::start().await).await
    }

    async fn of(app: TestApp) -> Self {
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        let collections = format!("/api/v1/workspaces/{workspace}/collections");
        Self { app, ada, workspace, collections }
    }

    async fn get(&self, path: &str) -> TestResponse {
        self.app.get(&self.ada, path).await
    }

    async fn create(&self, body: Value) -> TestResponse {
        self.app.post(&self.ada, &self.collections, &body).await
    }

    async fn patch(&self, path: &str, body: Value, tag: Option<&str>) -> TestResponse {
        self.app.patch_if(&self.ada, path, &body, tag).await
    }

    async fn delete(&self, path: &str, tag: Option<&str>) -> TestResponse {
        let request = self.app.request(Method::DELETE, path).bearer_auth(&self.ada.token);
        send(tag.into_iter().fold(request, |request, tag| request.header("if-match", tag))).await
    }

    async fn search(&self, body: Value) -> TestResponse {
        self.app.post(&self.ada, &format!("/api/v1/workspaces/{}/search", self.workspace), &body).await
    }

    /// Makes uploads go to this collection.
    async fn index_into(&self, collection: &str) {
        let pipelines = format!("/api/v1/workspaces/{}/pipelines", self.workspace);
        let id = self.get(&pipelines).await.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("{pipelines}/{id}");
        let mut definition = self.get(&path).await.expect(200)["definition"].take();
        definition["nodes"][5]["collection"] = json!(collection);
        self.patch(&path, json!({ "definition": definition }), None).await.expect(200);
    }

    async fn upload(&self, name: &str, text: &str) -> Value {
        let accepted = self.app.upload(&self.ada, &self.workspace, vec![part(name, text)]).await.expect(202);
        let id = accepted["items"][0]["id"].as_str().unwrap();
        self.app.finished_file(&self.ada, &self.workspace, id).await
    }
}

/// Names of the files and collections of the hits.
fn hits(response: &Value) -> Vec<(&str, &str)> {
    let hits = response["hits"].as_array().unwrap().iter();
    hits.map(|hit| (hit["file"]["name"].as_str().unwrap(), hit["collection"]["name"].as_str().unwrap())).collect()
}

#[actix_web::test]
async fn workspace_has_the_collection_default_which_keeps_its_name() {
    let setup = Setup::new().await;
    let list = setup.get(&setup.collections).await.expect(200);
    let [default] = &list["items"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!((&default["name"], &default["description"]), (&json!("default"), &json!("")));
    assert_eq!(default["usage"], json!({ "files": 0, "chunks": 0, "vectors": 0 }));
    let space = &default["space"];
    assert_eq!(
        (&space["provider"], &space["model"], &space["dimensions"]),
        (&json!("openai"), &json!("none"), &json!(384))
    );
    let path = format!("{}/default", setup.collections);
    assert_eq!(setup.get(&path).await.expect(200), *default);
    let models = setup.get("/api/v1/embedding-models").await.expect(200);
    let model = json!({
        "name": "none", "provider": "openai", "dimensions": 384, "modelDimensions": 384, "truncatable": false,
    });
    assert_eq!(models, json!({ "items": [model] }));

    let changed = setup.patch(&path, json!({ "description": "Everything.\nFor all.", "name": "default" }), None).await;
    assert_eq!(changed.expect(200)["description"], "Everything.\nFor all.");
    setup.patch(&path, json!({ "name": "other" }), None).await.problem(409, "default_collection");
    setup.delete(&path, None).await.problem(409, "default_collection");
    setup.app.stop().await;
}

#[actix_web::test]
async fn collection_is_created_read_changed_and_deleted() {
    let setup = Setup::new().await;
    let created = setup.create(json!({ "name": "reports", "description": "Yearly", "model": "none" })).await;
    let path = created.header("location").to_owned();
    let created = created.expect(201);
    let read = setup.get(&path).await;
    let tag = read.header("etag").to_owned();
    assert_eq!(read.expect(200), created);
    assert_eq!(setup.get(&format!("{}/reports", setup.collections)).await.expect(200), created);
    assert_eq!(created["space"]["model"], "none");
    setup.create(json!({ "name": "reports" })).await.problem(409, "name_taken");
    setup.create(json!({ "name": "notes" })).await.expect(201);
    setup.patch(&path, json!({ "name": "notes" }), None).await.problem(409, "name_taken");
    let page = setup.get(&format!("{}?limit=1", setup.collections)).await.expect(200);
    assert_eq!(page["items"][0]["name"], "notes");
    let next = format!("{}?limit=1&cursor={}", setup.collections, page["nextCursor"].as_str().unwrap());
    assert_eq!(setup.get(&next).await.expect(200)["items"][0]["name"], "reports");

    let changed = setup.patch(&path, json!({ "name": "annual", "description": "" }), Some(&tag)).await;
    let new_tag = changed.header("etag").to_owned();
    assert_ne!(new_tag, tag);
    let changed = changed.expect(200);
    assert_eq!(
        (&changed["name"], &changed["description"], &changed["id"]),
        (&json!("annual"), &json!(""), &created["id"])
    );
    // The same content again is no change, and an outdated tag is rejected.
    assert_eq!(setup.patch(&path, json!({ "name": "annual", "model": "none" }), None).await.header("etag"), new_tag);
    setup.patch(&path, json!({ "name": "other" }), Some(&tag)).await.problem(412, "precondition_failed");
    setup.delete(&path, Some(&tag)).await.problem(412, "precondition_failed");
    setup.get(&format!("{}/reports", setup.collections)).await.problem(404, "not_found");

    assert_eq!(setup.delete(&path, Some(&new_tag)).await.status, 204);
    for path in [path, format!("{}/annual", setup.collections), format!("{}/No%00Slug", setup.collections)] {
        setup.get(&path).await.problem(404, "not_found");
        setup.patch(&path, json!({ "name": "x" }), None).await.problem(404, "not_found");
        setup.delete(&path, None).await.problem(404, "not_found");
    }
    // The name is free at once.
    setup.create(json!({ "name": "annual" })).await.expect(201);
    let log = setup.get(&format!("/api/v1/workspaces/{}/activities?limit=4", setup.workspace)).await.expect(200);
    let types: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| entry["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["collection.created", "collection.deleted", "collection.updated", "collection.created"]);
    assert_eq!(log["items"][2]["details"], json!({ "fields": ["name", "description"] }));
    let sql = format!("select type from event where workspace_id = '{}' order by seq", setup.workspace);
    let events: Vec<String> = setup.app.rows(&sql).await.iter().map(|row| row.try_get("", "type").unwrap()).collect();
    let [created, updated, deleted] = ["collection.created", "collection.updated", "collection.deleted"];
    assert_eq!(events, [created, created, updated, deleted, created]);
    setup.app.stop().await;
}

#[actix_web::test]
async fn collection_that_an_enabled_pipeline_writes_to_keeps_its_name() {
    let setup = Setup::new().await;
    let path = setup.create(json!({ "name": "reports" })).await.header("location").to_owned();
    setup.index_into("reports").await;
    let problem = setup.patch(&path, json!({ "name": "annual" }), None).await.problem(409, "in_use");
    assert!(problem["detail"].as_str().unwrap().contains("`default`"), "the pipeline is named: {problem}");
    setup.delete(&path, None).await.problem(409, "in_use");
    setup.patch(&path, json!({ "name": "reports", "description": "Yearly" }), None).await.expect(200);
    // Only the newest definition counts.
    setup.index_into("default").await;
    setup.patch(&path, json!({ "name": "annual" }), None).await.expect(200);
    assert_eq!(setup.delete(&path, None).await.status, 204);
    setup.app.stop().await;
}

#[actix_web::test]
async fn invalid_collections_are_rejected_with_the_field() {
    let setup = Setup::new().await;
    let id = nvisy_shared::id::new().to_string();
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "Reports" }), "name"),
        (json!({ "name": "-a" }), "name"),
        (json!({ "name": "a".repeat(64) }), "name"),
        (json!({ "name": id }), "name"),
        (json!({ "name": "a", "description": "x".repeat(1001) }), "description"),
        (json!({ "name": "a", "description": "a\u{7}b" }), "description"),
        (json!({ "name": "a", "description": "a\u{202e}b" }), "description"),
        (json!({ "name": "a", "model": "unknown" }), "model"),
    ] {
        let problem = setup.create(body.clone()).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], field, "{body} {problem}");
        if field != "model" {
            setup.patch(&format!("{}/default", setup.collections), body, None).await.problem(422, "invalid_body");
        }
    }
    setup.create(json!({ "name": "a", "colour": "blue" })).await.problem(422, "invalid_body");
    let unknown = setup.create(json!({ "name": "a", "model": "unknown" })).await.problem(422, "invalid_body");
    assert!(unknown["errors"][0]["message"].as_str().unwrap().contains("`none`"), "{unknown}");
    assert_eq!(setup.app.count("collection").await, 1);
    setup.app.stop().await;
}

#[actix_web::test]
async fn run_that_began_before_its_collection_was_deleted_fails_with_the_reason() {
    let mut setup = Setup::of(TestApp::start_with(&[("NVISY_EMBEDDING_PROVIDER", "local")]).await).await;
    setup.create(json!({ "name": "reports" })).await.expect(201);
    setup.index_into("reports").await;
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, vec![part("one.txt", "Seals.")]).await.expect(202);
    setup.index_into("default").await;
    assert_eq!(setup.delete(&format!("{}/reports", setup.collections), None).await.status, 204);
    setup.app.start_worker().await;
    let id = accepted["items"][0]["id"].as_str().unwrap();
    let failed = setup.app.finished_file(&setup.ada, &setup.workspace, id).await;
    assert_eq!((&failed["state"], &failed["failure"]["code"]), (&json!("failed"), &json!("collection_not_found")));
    setup.app.stop().await;
}

#[actix_web::test]
async fn file_that_would_overfill_a_collection_fails_and_writes_nothing() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let path = format!("{}/default", setup.collections);
    let limited = setup.patch(&path, json!({ "maxChunks": 1 }), None).await.expect(200);
    assert_eq!(limited["maxChunks"], 1);
    assert_eq!(setup.upload("one.txt", "The ebb began at noon.").await["state"], "ready");
    let failed = setup.upload("two.txt", "The flood began at six.").await;
    assert_eq!(failed["failure"]["code"], "quota_exceeded", "{failed}");
    assert!(failed["failure"]["detail"].as_str().unwrap().contains("`default` may have 1 chunks"), "{failed}");
    assert_eq!(setup.get(&path).await.expect(200)["usage"], json!({ "files": 1, "chunks": 1, "vectors": 1 }));
    let unlimited = setup.patch(&path, json!({ "maxChunks": null }), None).await.expect(200);
    assert_eq!(unlimited.get("maxChunks"), None);
    assert_eq!(setup.upload("three.txt", "Slack water at nine.").await["state"], "ready");
    setup.app.stop().await;
}

#[actix_web::test]
async fn repeated_creation_with_a_key_has_one_effect() {
    let setup = Setup::new().await;
    let create = async |name: &str| {
        let request = setup.app.request(Method::POST, &setup.collections).bearer_auth(&setup.ada.token);
        send(request.header("idempotency-key", "k1").json(&json!({ "name": name }))).await
    };
    assert_eq!(create("reports").await.expect(201), create("reports").await.expect(201));
    create("notes").await.problem(422, "idempotency_key_reused");
    assert_eq!(setup.app.count("collection").await, 2);
    setup.app.stop().await;
}

#[actix_web::test]
async fn number_of_collections_is_limited_by_quota_and_workspace() {
    let setup = Setup::of(TestApp::start_with(&[("NVISY_QUOTA_COLLECTIONS", "3")]).await).await;
    let usage = format!("/api/v1/workspaces/{}/usage", setup.workspace);
    assert_eq!(setup.get(&usage).await.expect(200)["collections"], json!({ "used": 1, "limit": 3 }));
    let one = setup.create(json!({ "name": "one" })).await.header("location").to_owned();
    // Of concurrent requests only as many succeed as the quota allows.
    let creations = (0..5).map(|n| setup.create(json!({ "name": format!("c{n}") })));
    let responses = futures::future::join_all(creations).await;
    assert_eq!(responses.iter().filter(|response| response.status == 201).count(), 1);
    let problem = setup.create(json!({ "name": "two" })).await.problem(409, "quota_exceeded");
    assert_eq!(problem["errors"][0]["field"], "collections");
    // A lower limit of the workspace's own does not concern uploads.
    let path = format!("/api/v1/workspaces/{}", setup.workspace);
    setup.patch(&path, json!({ "limits": { "collections": 2 } }), None).await.expect(200);
    setup.app.upload(&setup.ada, &setup.workspace, vec![part("a.txt", "tide")]).await.expect(202);
    assert_eq!(setup.delete(&one, None).await.status, 204);
    assert_eq!(setup.get(&usage).await.expect(200)["collections"], json!({ "used": 2, "limit": 2 }));
    setup.create(json!({ "name": "two" })).await.problem(409, "quota_exceeded");
    setup.patch(&path, json!({ "limits": { "collections": null } }), None).await.expect(200);
    setup.create(json!({ "name": "two" })).await.expect(201);
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn search_reads_the_chosen_collections_and_hits_name_theirs() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let reports = setup.create(json!({ "name": "reports" })).await.expect(201)["id"].as_str().unwrap().to_owned();
    setup.create(json!({ "name": "empty" })).await.expect(201);
    setup.upload("one.txt", "Grey seals rest on the sandbank.").await;
    setup.index_into("reports").await;
    setup.upload("two.txt", "Seals were counted in November.").await;
    let usage =
        async |name: &str| setup.get(&format!("{}/{name}", setup.collections)).await.expect(200)["usage"].take();
    for name in ["default", "reports"] {
        assert_eq!(usage(name).await, json!({ "files": 1, "chunks": 1, "vectors": 1 }), "{name}");
    }
    for mode in ["vector", "text", "hybrid"] {
        let search = async |collections: Value| {
            let body = match collections {
                Value::Null => json!({ "query": "seals", "mode": mode }),
                collections => json!({ "query": "seals", "mode": mode, "collections": collections }),
            };
            setup.search(body).await.expect(200)
        };
        let all = search(Value::Null).await;
        let mut all = hits(&all);
        all.sort_unstable();
        assert_eq!(all, [("one.txt", "default"), ("two.txt", "reports")], "{mode}");
        for keys in [json!(["reports"]), json!([reports]), json!(["reports", reports, "empty"])] {
            let found = search(keys.clone()).await;
            assert_eq!(hits(&found), [("two.txt", "reports")], "{mode} {keys}");
            assert_eq!(found["hits"][0]["collection"]["id"], json!(reports));
        }
        assert_eq!(hits(&search(json!(["default"])).await), [("one.txt", "default")], "{mode}");
        assert_eq!(hits(&search(json!(["empty"])).await), []);
        assert_eq!(hits(&search(json!(["empty", "reports", "default"])).await).len(), 2);
    }
    // Unknown ones, and those of other workspaces, do not exist.
    let other = setup.app.create_workspace(&setup.ada, "Wind").await;
    let foreign = setup.get(&format!("/api/v1/workspaces/{other}/collections")).await.expect(200);
    let unknown = json!(nvisy_shared::id::new());
    for key in [json!("unknown"), json!(""), unknown, foreign["items"][0]["id"].clone()] {
        let body = json!({ "query": "seals", "mode": "text", "collections": ["default", key] });
        setup.search(body).await.problem(404, "not_found");
    }
    for invalid in [json!([]), Value::Null, json!("default"), json!([1])] {
        setup.search(json!({ "query": "seals", "collections": invalid })).await.problem(422, "invalid_body");
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn deleted_collection_is_not_searched_and_erased_by_the_worker() {
    let setup = Setup::of(TestApp::start_with(&[("NVISY_EMBEDDING_PROVIDER", "local")]).await).await;
    let lifecycle = Lifecycle::new();
    let schedule = Schedule {
        poll_interval: Duration::from_millis(50),
        gc_interval: Duration::from_millis(100),
        ..Schedule::default()
    };
    let worker = Worker::build(setup.app.config().clone(), program("nvisy-worker")).await.unwrap();
    let worker = tokio::spawn(worker.with_maintenance(schedule).run(lifecycle.clone()));
    setup.create(json!({ "name": "reports" })).await.expect(201);
    setup.upload("one.txt", "Grey seals rest on the sandbank.").await;
    setup.index_into("reports").await;
    for name in ["two.txt", "three.txt"] {
        assert_eq!(setup.upload(name, &format!("Seals were counted in {name}.")).await["state"], "ready");
    }
    setup.index_into("default").await;
    // Without the worker's deletion: search reads the collection's state.
    assert_eq!(setup.delete(&format!("{}/reports", setup.collections), None).await.status, 204);
    for mode in ["vector", "text", "hybrid"] {
        let found = setup.search(json!({ "query": "seals", "mode": mode })).await.expect(200);
        assert_eq!(hits(&found), [("one.txt", "default")], "{mode}");
    }
    wait_until("the rows are erased", async || {
        let left = setup.app.count("chunk").await + setup.app.count("embedding").await;
        (left == 2 && setup.app.count("collection").await == 1).then_some(())
    })
    .await;
    // The files stay.
    let files = setup.get(&format!("/api/v1/workspaces/{}/files", setup.workspace)).await.expect(200);
    assert_eq!(files["items"].as_array().unwrap().len(), 3);
    lifecycle.soft().cancel();
    assert!(worker.await.unwrap(), "the worker finished in time");
    setup.app.stop().await;
}
