//! Collections move to another model: search goes on, nothing is lost, and a failing model disturbs no upload.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    ModelServer, TestAccount, TestApp, TestResponse, byte_counts, definition, embedding_response, model_response, part,
    send, spawn, wait_until,
};

/// An embedding server with the models `small`, and `wide`, which fails while it is told to. `wide` finds the farthest passages of
/// `small` for queries with `opposite`, and rejects passages with `poison`.
struct Models {
    url: String,
    fails: Arc<AtomicBool>,
    folder: TempDir,
}

impl Models {
    async fn start() -> Self {
        let server = ModelServer::start().await;
        let fails = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&fails);
        server.respond(move |request| {
            let is_wide = request.body["model"] == "wide";
            if is_wide && flag.load(Ordering::SeqCst) {
                return model_response("500", "", r#"{"error":{"message":"the model is broken"}}"#);
            }
            if is_wide && request.body["input"].to_string().contains("poison") {
                return model_response("400", "", r#"{"error":{"message":"this input is rejected"}}"#);
            }
            embedding_response(request, |text| {
                let sign = if is_wide && text.contains("opposite") { -1.0 } else { 1.0 };
                byte_counts(text).map(|number| sign * number)
            })
        });
        let url = server.base_url;
        let folder = tempfile::tempdir().unwrap();
        let wide = json!([{ "provider": "openai", "url": url, "model": "wide", "dimensions": 4 }]);
        std::fs::write(folder.path().join("models.json"), wide.to_string()).unwrap();
        Self { url, fails, folder }
    }

    fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn file(&self) -> String {
        self.folder.path().join("models.json").display().to_string()
    }
}

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
}

impl Setup {
    async fn new(models: &Models, more: &[(&str, &str)]) -> Self {
        let file = models.file();
        let settings = [
            ("NVISY_EMBEDDING_URL", models.url.as_str()),
            ("NVISY_EMBEDDING_MODEL", "small"),
            ("NVISY_EMBEDDING_DIMENSIONS", "4"),
            ("NVISY_EMBEDDING_MODELS_FILE", file.as_str()),
        ];
        let app = TestApp::start_with(&[&settings, more].concat()).await;
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        Self { app, ada, workspace }
    }

    fn path(&self, path: &str) -> String {
        format!("/api/v1/workspaces/{}/{path}", self.workspace)
    }

    async fn request(&self, method: Method, path: &str, body: Value) -> TestResponse {
        let request = self.app.request(method, &self.path(path)).bearer_auth(&self.ada.token);
        send(if body.is_null() { request } else { request.json(&body) }).await
    }

    async fn upload(&self, names: &[&str]) {
        let parts = names.iter().map(|name| part(name, format!("Seals rest on {name}."))).collect();
        let accepted = self.app.upload(&self.ada, &self.workspace, parts).await.expect(202);
        for file in accepted["items"].as_array().unwrap() {
            let file = self.app.finished_file(&self.ada, &self.workspace, file["id"].as_str().unwrap()).await;
            assert_eq!(file["state"], "ready", "{file}");
        }
    }

    async fn second(&self) -> Value {
        self.request(Method::GET, SECOND, Value::Null).await.expect(200)
    }

    async fn wait_for(&self, state: &str) -> Value {
        wait_until(&format!("the second space is {state}"), async || {
            let second = self.second().await;
            (second["state"] == state).then_some(second)
        })
        .await
    }

    async fn model(&self) -> String {
        let collection = self.request(Method::GET, "collections/default", Value::Null).await.expect(200);
        collection["space"]["model"].as_str().unwrap().to_owned()
    }

    /// The number of files that a search by meaning finds.
    async fn found(&self) -> usize {
        let body = json!({ "query": "seals", "mode": "vector", "limit": 100 });
        self.request(Method::POST, "search", body).await.expect(200)["hits"].as_array().unwrap().len()
    }

    /// The number of vectors of a model.
    async fn vectors(&self, model: &str) -> i64 {
        self.app
            .count(&format!("embedding e join embedding_space s on s.id = e.space_id where s.model = '{model}'"))
            .await
    }
}

const SECOND: &str = "collections/default/second-space";

#[actix_web::test]
async fn collection_moves_to_another_model_and_back_while_search_goes_on() {
    let models = Models::start().await;
    let mut setup = Setup::new(&models, &[]).await;
    setup.app.start_worker().await;
    setup.upload(&["a.txt", "b.txt", "c.txt"]).await;
    let wide = json!({ "model": "wide" });
    let problem = setup.request(Method::PATCH, "collections/default", wide.clone()).await;
    problem.problem(409, "has_vectors");
    let estimate = setup.request(Method::POST, &format!("{SECOND}/estimate"), wide.clone()).await.expect(200);
    assert_eq!((&estimate["chunks"], &estimate["knownChunks"]), (&json!(3), &json!(0)), "{estimate}");
    setup.request(Method::GET, SECOND, Value::Null).await.problem(404, "not_found");
    for (body, field) in
        [(json!({}), "model"), (json!({ "model": "small" }), "model"), (json!({ "model": "x" }), "model")]
    {
        let problem = setup.request(Method::POST, SECOND, body).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }

    let created = setup.request(Method::POST, SECOND, wide.clone()).await;
    assert!(created.header("location").ends_with(SECOND));
    assert_eq!(created.expect(201)["space"]["model"], "wide");
    setup.request(Method::POST, SECOND, wide).await.problem(409, "second_space_exists");
    let ready = setup.wait_for("ready").await;
    assert_eq!((&ready["chunks"], &ready["done"], &ready["rejected"]), (&json!(3), &json!(3), &json!(0)), "{ready}");
    assert_eq!((setup.model().await.as_str(), setup.found().await), ("small", 3));
    // New files get vectors of both.
    setup.upload(&["d.txt"]).await;
    assert_eq!((setup.vectors("small").await, setup.vectors("wide").await), (4, 4));

    for model in ["wide", "small", "wide"] {
        let exchanged = setup.request(Method::POST, &format!("{SECOND}/exchange"), Value::Null).await.expect(200);
        assert_eq!(exchanged["exchangeRequested"], false, "{exchanged}");
        assert_ne!(exchanged["space"]["model"], model);
        assert_eq!((setup.model().await.as_str(), setup.found().await), (model, 4));
    }
    setup.upload(&["e.txt"]).await;
    assert_eq!((setup.vectors("small").await, setup.vectors("wide").await, setup.found().await), (5, 5, 5));
    assert_eq!(setup.request(Method::DELETE, SECOND, Value::Null).await.status, 204);
    wait_until("the second space is deleted", async || {
        (setup.request(Method::GET, SECOND, Value::Null).await.status == 404).then_some(())
    })
    .await;
    assert_eq!((setup.vectors("small").await, setup.vectors("wide").await, setup.found().await), (0, 5, 5));
    let usage = setup.request(Method::GET, "collections/default", Value::Null).await.expect(200)["usage"].take();
    assert_eq!(usage, json!({ "files": 5, "chunks": 5, "vectors": 5 }));
    setup.app.stop().await;
}

#[actix_web::test]
async fn failing_model_of_a_second_space_disturbs_nothing_and_is_exchanged_once_it_works() {
    let models = Models::start().await;
    let mut setup = Setup::new(&models, &[("NVISY_QUEUE_ATTEMPTS", "1")]).await;
    setup.app.start_worker().await;
    setup.upload(&["a.txt", "b.txt"]).await;
    models.fail(true);
    setup.request(Method::POST, SECOND, json!({ "model": "wide" })).await.expect(201);
    let failed = setup.wait_for("failed").await;
    assert!(failed["failure"]["detail"].is_string(), "{failed}");
    setup.upload(&["c.txt"]).await;
    assert_eq!((setup.found().await, setup.vectors("wide").await), (3, 0));

    let exchange = format!("{SECOND}/exchange");
    models.fail(false);
    let requested = setup.request(Method::POST, &exchange, Value::Null).await.expect(200);
    assert_eq!(
        (&requested["state"], &requested["exchangeRequested"]),
        (&json!("running"), &json!(true)),
        "{requested}"
    );
    wait_until("search reads the second space", async || (setup.model().await == "wide").then_some(())).await;
    assert_eq!((setup.found().await, setup.vectors("wide").await), (3, 3));
    // The model before is the second one now, and may rest.
    let paused = setup.request(Method::PATCH, SECOND, json!({ "state": "paused" })).await.expect(200);
    assert_eq!((&paused["state"], &paused["space"]["model"]), (&json!("paused"), &json!("small")));
    setup.upload(&["d.txt"]).await;
    assert_eq!((setup.vectors("small").await, setup.vectors("wide").await), (3, 4));
    let resumed = setup.request(Method::PATCH, SECOND, json!({ "state": "running" })).await.expect(200);
    assert_eq!(resumed["chunks"], 1, "{resumed}");
    setup.wait_for("ready").await;
    assert_eq!(setup.vectors("small").await, 4);
    setup.app.wait_until_no_jobs_are_left().await;
    setup.app.sql("delete from dead_job").await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn every_chunk_has_one_vector_of_each_model_when_workers_are_killed() {
    const FILES: usize = 60;
    let models = Models::start().await;
    let more = [("NVISY_QUEUE_LEASE_SECONDS", "2"), ("NVISY_WORKER_BATCH_CHUNKS", "2"), ("NVISY_QUEUE_ATTEMPTS", "50")];
    let setup = Setup::new(&models, &more).await;
    let file = models.file();
    let settings = [
        ("NVISY_EMBEDDING_URL", models.url.as_str()),
        ("NVISY_EMBEDDING_MODEL", "small"),
        ("NVISY_EMBEDDING_DIMENSIONS", "4"),
        ("NVISY_EMBEDDING_MODELS_FILE", file.as_str()),
    ];
    let start = || spawn("nvisy-worker", &setup.app.deployment, &[&settings[..], &more].concat());
    let mut worker = start();
    let names: Vec<_> = (0..FILES).map(|n| format!("{n}.txt")).collect();
    setup.upload(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    setup.request(Method::POST, SECOND, json!({ "model": "wide" })).await.expect(201);
    setup.request(Method::POST, &format!("{SECOND}/exchange"), Value::Null).await.expect(200);
    for round in 1..=3 {
        let enough = (FILES * round / 5) as i64;
        wait_until("some vectors are there", async || (setup.vectors("wide").await >= enough).then_some(())).await;
        worker.kill().await.expect("a killed worker");
        // Search goes on without a worker, in whatever space it reads.
        assert_eq!(setup.found().await, FILES);
        worker = start();
    }
    wait_until("search reads the second space", async || {
        let found = setup.found().await;
        assert_eq!(found, FILES);
        (setup.model().await == "wide").then_some(())
    })
    .await;
    setup.app.wait_until_no_jobs_are_left().await;
    assert_eq!((setup.vectors("small").await, setup.vectors("wide").await), (FILES as i64, FILES as i64));
    drop(worker);
    setup.app.stop().await;
}

#[actix_web::test]
async fn second_space_of_a_collection_is_not_searched_as_the_first_of_another() {
    let models = Models::start().await;
    let mut setup = Setup::new(&models, &[]).await;
    setup.app.start_worker().await;
    setup.upload(&["a.txt"]).await;
    setup.request(Method::POST, "collections", json!({ "name": "reports", "model": "wide" })).await.expect(201);
    let pipelines = setup.request(Method::GET, "pipelines", Value::Null).await.expect(200);
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "upload" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "vec", "type": "embed" },
        { "id": "out", "type": "sink.collection", "collection": "reports" },
    ]);
    let to_reports = definition(&nodes, &["in > read", "read > cut", "cut > vec", "vec > out"]);
    let pipeline = format!("pipelines/{}", pipelines["items"][0]["id"].as_str().unwrap());
    setup.request(Method::PATCH, &pipeline, json!({ "definition": to_reports })).await.expect(200);
    setup.upload(&["zzzzzzzz.txt"]).await;
    // The place of the report among the passages of its model, which `a.txt` would have if it were compared with it.
    let place = async || {
        let body = json!({ "query": "Seals rest on a.txt.", "mode": "vector", "explain": true });
        let found = setup.request(Method::POST, "search", body).await.expect(200);
        let hits = found["hits"].as_array().unwrap();
        assert_eq!(hits.len(), 2, "{found}");
        let report = hits.iter().find(|hit| hit["file"]["name"] == "zzzzzzzz.txt").unwrap();
        report["explanation"]["vector"]["rank"].as_i64().unwrap()
    };
    assert_eq!(place().await, 1);
    setup.request(Method::POST, SECOND, json!({ "model": "wide" })).await.expect(201);
    setup.wait_for("ready").await;
    assert_eq!((setup.vectors("wide").await, place().await), (2, 1));
    setup.request(Method::PATCH, SECOND, json!({ "state": "paused" })).await.expect(200);
    assert_eq!((setup.vectors("wide").await, place().await), (2, 1));
    setup.app.wait_until_no_jobs_are_left().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn deleted_passage_that_was_rejected_hides_no_other_one_without_a_vector() {
    let models = Models::start().await;
    let mut setup = Setup::new(&models, &[]).await;
    setup.app.start_worker().await;
    setup.upload(&["a.txt", "poison.txt"]).await;
    setup.request(Method::POST, SECOND, json!({ "model": "wide" })).await.expect(201);
    assert_eq!(setup.wait_for("ready").await["rejected"], 1);
    let files = setup.request(Method::GET, "files", Value::Null).await.expect(200);
    let poison = files["items"].as_array().unwrap().iter().find(|file| file["name"] == "poison.txt").unwrap();
    let path = format!("files/{}", poison["id"].as_str().unwrap());
    assert_eq!(setup.request(Method::DELETE, &path, Value::Null).await.status, 204);
    setup.app.wait_until_no_jobs_are_left().await;
    // As a file that became visible after the pass had begun, with vectors from before the second space.
    setup.app.sql("delete from embedding where space_id = (select space_id from second_space)").await;
    setup.app.sql("update target set published_at = now() where live").await;
    setup.request(Method::POST, &format!("{SECOND}/exchange"), Value::Null).await.expect(200);
    wait_until("search reads the second space", async || (setup.model().await == "wide").then_some(())).await;
    assert_eq!((setup.vectors("wide").await, setup.found().await), (1, 1));
    setup.app.wait_until_no_jobs_are_left().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn second_space_is_evaluated_before_the_exchange() {
    let models = Models::start().await;
    let mut setup = Setup::new(&models, &[]).await;
    setup.app.start_worker().await;
    setup.upload(&["a.txt", "b.txt"]).await;
    let set = setup.request(Method::POST, "query-sets", json!({ "name": "Questions" })).await.expect(201);
    let set = format!("query-sets/{}", set["id"].as_str().unwrap());
    let files = setup.request(Method::GET, "files", Value::Null).await.expect(200);
    let judgement = json!({ "query": "seals", "file": files["items"][0]["id"], "grade": 1 });
    setup.request(Method::PUT, &format!("{set}/judgements"), judgement).await.expect(200);
    let body = json!({ "settings": { "mode": "vector", "secondSpace": true } });
    let start = async || setup.request(Method::POST, &format!("{set}/evaluations"), body.clone()).await;
    start().await.problem(409, "second_space_not_ready");
    setup.request(Method::POST, SECOND, json!({ "model": "wide" })).await.expect(201);
    setup.wait_for("ready").await;
    let started = start().await.expect(202);
    let path = format!("evaluations/{}", started["id"].as_str().unwrap());
    let evaluation = wait_until("the evaluation has ended", async || {
        let evaluation = setup.request(Method::GET, &path, Value::Null).await.expect(200);
        (evaluation["state"] != "running").then_some(evaluation)
    })
    .await;
    assert_eq!((&evaluation["state"], &evaluation["metrics"]["mean"]["recall"]), (&json!("done"), &json!(1.0)));
    assert_eq!(evaluation["settings"]["secondSpace"], true);
    setup.app.stop().await;
}

#[actix_web::test]
async fn spaces_are_compared_with_recent_queries_until_the_second_space_ends() {
    let models = Models::start().await;
    let mut setup = Setup::new(&models, &[]).await;
    setup.app.start_worker().await;
    let names: Vec<String> = (0..20).map(|n| format!("{}.txt", "rock".repeat(n + 1))).collect();
    setup.upload(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let comparison = format!("{SECOND}/comparison");
    let compare = async |body: Value| setup.request(Method::POST, &comparison, body).await;
    compare(json!({})).await.problem(404, "not_found");
    let search = async |query: &str, mode: &str| {
        let body = json!({ "query": query, "mode": mode });
        setup.request(Method::POST, "search", body).await.expect(200);
    };
    search("before the move", "vector").await;

    setup.request(Method::POST, SECOND, json!({ "model": "wide" })).await.expect(201);
    setup.wait_for("ready").await;
    let none = compare(json!({})).await.expect(200);
    assert_eq!((&none["queries"], &none["meanOverlap"], &none["complete"]), (&json!(0), &Value::Null, &json!(true)));
    for (query, mode) in [
        ("seals", "vector"),
        ("seals", "hybrid"),
        ("opposite seals", "hybrid"),
        ("words only", "text"),
        ("?!", "hybrid"),
    ] {
        search(query, mode).await;
    }
    let sampled = wait_until("the queries are written", async || {
        let compared = compare(json!({})).await.expect(200);
        (compared["queries"] == 2).then_some(compared)
    })
    .await;
    assert_eq!((&sampled["distribution"][10], &sampled["rejected"]), (&json!(1), &json!(0)), "{sampled}");
    assert!(sampled["meanOverlap"].as_f64().unwrap() < 0.8, "{sampled}");
    let different = sampled["different"].as_array().unwrap();
    assert_eq!((different.len(), &different[0]["query"]), (1, &json!("opposite seals")), "{sampled}");
    assert!(different[0]["overlap"].as_f64().unwrap() < 0.6, "{sampled}");

    // Given queries are compared in place of the sample, and are not kept.
    let given = compare(json!({ "queries": ["seals on rocks", "rest"] })).await.expect(200);
    assert_eq!((&given["queries"], &given["meanOverlap"], &given["different"]), (&json!(2), &json!(1.0), &json!([])));
    assert_eq!(setup.app.count("query_sample").await, 2);
    for body in [json!({ "queries": [] }), json!({ "queries": [" "] }), json!({ "limit": 201 })] {
        compare(body).await.problem(422, "invalid_body");
    }
    assert_eq!(setup.request(Method::DELETE, SECOND, Value::Null).await.status, 204);
    assert_eq!(setup.app.count("query_sample").await, 0, "the queries go at once");
    setup.app.wait_until_no_jobs_are_left().await;
    setup.app.stop().await;
}
