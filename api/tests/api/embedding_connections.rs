//! Collections whose vectors the server of a connection computes: indexed and searched by it, within its limits.

use std::time::Duration;

use nvisy_shared::{
    lifecycle::Lifecycle,
    queue::{EmbedQuery, EmbedReply, Queue},
};
use serde_json::{Value, json};

use crate::support::{
    ModelRequest, ModelServer, TestAccount, TestApp, TestResponse, embedding_response, model_response, part, wait_until,
};

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
    server: ModelServer,
    connection: String,
}

impl Setup {
    /// The collection `default` with a connection.
    async fn new(settings: &Value) -> Self {
        Self::new_with(&[], settings).await
    }

    /// With settings of API and worker.
    async fn new_with(variables: &[(&str, &str)], settings: &Value) -> Self {
        Self::of(TestApp::start_with_worker(variables).await, settings).await
    }

    async fn of(app: TestApp, settings: &Value) -> Self {
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        let server = ModelServer::start().await;
        server.respond(embeddings);
        let mut all = json!({ "model": "e-1", "dimensions": 3, "baseUrl": server.base_url });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let body = json!({
            "name": "vectors", "provider": "openai-embeddings", "settings": all, "credentials": { "apiKey": "hunter2" },
        });
        let created = app.post(&ada, &format!("/api/v1/workspaces/{workspace}/connections"), &body).await.expect(201);
        assert_eq!(created["kind"], "embedding");
        let connection = created["id"].as_str().unwrap().to_owned();
        let setup = Self { app, ada, workspace, server, connection };
        let changed = setup.patch("collections/default", &json!({ "connection": setup.connection })).await.expect(200);
        assert_eq!((&changed["space"]["model"], &changed["space"]["dimensions"]), (&json!("e-1"), &json!(3)));
        assert_eq!(changed["space"]["connectionId"], json!(setup.connection));
        setup
    }

    fn path(&self, path: &str) -> String {
        format!("/api/v1/workspaces/{}/{path}", self.workspace)
    }

    async fn patch(&self, path: &str, body: &Value) -> TestResponse {
        self.app.patch(&self.ada, &self.path(path), body).await
    }

    async fn upload(&self, name: &str, content: &str) -> String {
        let accepted = self.app.upload(&self.ada, &self.workspace, vec![part(name, content)]).await.expect(202);
        accepted["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// The results of searches by vector in one request.
    async fn search_all(&self, queries: impl Iterator<Item = String>) -> Vec<Value> {
        let searches: Vec<Value> = queries.map(|query| json!({ "query": query, "mode": "vector" })).collect();
        let body = json!({ "searches": searches });
        let mut batch = self.app.post(&self.ada, &self.path("search/batch"), &body).await.expect(200);
        batch["results"].as_array_mut().map(std::mem::take).unwrap()
    }

    async fn search(&self, query: &str) -> TestResponse {
        self.app.post(&self.ada, &self.path("search"), &json!({ "query": query, "mode": "vector" })).await
    }
}

/// Texts about tides have one direction, all others another.
fn embeddings(request: &ModelRequest) -> String {
    embedding_response(request, |text| if text.contains("tide") { [1.0, 0.1, 0.0] } else { [0.0, 0.1, 1.0] })
}

#[actix_web::test]
async fn collection_is_indexed_and_searched_by_its_connection() {
    let setup = Setup::new(&json!({ "queryPrefix": "query: ", "pricePerMillion": 100_000 })).await;
    let check = setup.path(&format!("connections/{}/check", setup.connection));
    let checked = setup.app.post(&setup.ada, &check, &json!({})).await.expect(200);
    assert_eq!(checked["check"]["state"], "ok", "{checked}");
    let tides = setup.upload("tides.txt", "The tide rises twice a day.").await;
    let seals = setup.upload("seals.txt", "Seals rest on the sand.").await;
    for file in [&tides, &seals] {
        let file = setup.app.finished_file(&setup.ada, &setup.workspace, file).await;
        assert_eq!(file["state"], "ready", "{file}");
    }
    let found = setup.search("when is the tide").await.expect(200);
    assert_eq!(found["hits"][0]["file"]["name"], "tides.txt", "{found}");
    assert!(found["hits"][0]["scores"]["vector"].as_f64().unwrap() > 0.9, "{found}");
    let requests = setup.server.requests();
    assert!(requests.iter().all(|request| request.head.contains("authorization: bearer hunter2")));
    let inputs: Vec<_> = requests.iter().map(|request| request.body["input"][0].clone()).collect();
    assert!(inputs.contains(&json!("query: when is the tide")), "{inputs:?}");

    let usage = setup.app.get(&setup.ada, &setup.path("model-usage")).await.expect(200);
    assert!(usage["items"][0]["inputTokens"].as_i64().unwrap() > 0, "{usage}");
    assert!(usage["items"][0]["cost"].as_f64().unwrap() > 0.0, "{usage}");

    // As if the code of a type had been raised since.
    setup.app.sql("update run set code_versions = jsonb_set(code_versions, '{embed}', '0')").await;
    let pipelines = setup.app.get(&setup.ada, &setup.path("pipelines")).await.expect(200);
    let staleness = setup.path(&format!("pipelines/{}/staleness", pipelines["items"][0]["id"].as_str().unwrap()));
    let refresh = setup.app.get(&setup.ada, &staleness).await.expect(200)["refresh"].take();
    let tokens = refresh["tokens"].as_f64().unwrap();
    assert!(tokens > 0.0 && refresh["cost"] == json!(tokens / 10.0), "{refresh}");

    // The vectors of the collection stay comparable with those of queries.
    let connection = format!("connections/{}", setup.connection);
    let settings = json!({ "model": "e-2", "dimensions": 3, "baseUrl": setup.server.base_url });
    setup.patch(&connection, &json!({ "settings": settings })).await.problem(409, "in_use");
    setup.app.delete(&setup.ada, &setup.path(&connection)).await.problem(409, "in_use");
    setup
        .patch("collections/default", &json!({ "connection": setup.connection, "model": "x" }))
        .await
        .problem(422, "invalid_body");
    setup.app.stop().await;
}

#[actix_web::test]
async fn server_that_rejects_the_key_makes_files_wait_and_searches_say_why() {
    let setup = Setup::new(&json!({})).await;
    setup.server.fail(401, "the key hunter2 is wrong");
    let file = setup.upload("tides.txt", "The tide rises twice a day.").await;
    let path = setup.path(&format!("files/{file}"));
    let waiting = wait_until("the file says why it waits", async || {
        let file = setup.app.get(&setup.ada, &path).await.expect(200);
        file["waiting"]["reason"].as_str().map(str::to_owned)
    })
    .await;
    assert!(waiting.contains("vectors") && !waiting.contains("hunter2"), "{waiting}");
    let problem = setup.search("tide").await.problem(503, "unavailable");
    let detail = problem["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("mode `text` works") && !detail.contains("hunter2"), "{detail}");

    setup.server.respond(embeddings);
    let renewed = json!({ "credentials": { "apiKey": "hunter2-other" } });
    setup.patch(&format!("connections/{}", setup.connection), &renewed).await.expect(200);
    let file = setup.app.finished_file(&setup.ada, &setup.workspace, &file).await;
    assert_eq!(file["state"], "ready", "{file}");
    assert_eq!(setup.search("tide").await.expect(200)["hits"][0]["file"]["name"], "tides.txt");
    setup.app.stop().await;
}

#[actix_web::test]
async fn search_does_not_wait_for_a_connection_that_never_answers() {
    let setup = Setup::new_with(&[("NVISY_SEARCH_EMBEDDING_SECONDS", "1")], &json!({})).await;
    setup.server.hold();
    for _ in 0..2 {
        let problem = setup.search("tide").await.problem(503, "unavailable");
        assert!(problem["detail"].as_str().unwrap().contains("connection does not answer"), "{problem}");
    }
    let hybrid = setup.app.post(&setup.ada, &setup.path("search"), &json!({ "query": "tide" })).await.expect(200);
    assert!(hybrid["degraded"].as_str().unwrap().contains("connection does not answer"), "{hybrid}");
    setup.server.release();
    setup.app.stop().await;
}

#[actix_web::test]
async fn queries_of_a_batch_are_one_call_of_the_connection() {
    let setup = Setup::new(&json!({})).await;
    let before = setup.server.requests().len();
    let results = setup.search_all((0..32).map(|number| format!("tide {number}"))).await;
    assert!(results.len() == 32 && results.iter().all(|result| result["status"] == 200), "{results:?}");
    let requests = setup.server.requests();
    let texts = |request: &ModelRequest| request.body["input"].as_array().map_or(0, Vec::len);
    assert_eq!(requests[before..].iter().map(texts).collect::<Vec<_>>(), [32]);
    assert_eq!(setup.search("tide 31").await.expect(200)["hits"], json!([]));
    assert_eq!(setup.server.requests().len(), before + 1, "the vectors are known");

    // A query that the server rejects costs no other one its vector.
    setup.server.respond(|request| match request.body["input"].to_string().contains("poison") {
        true => model_response("400", "", r#"{"error":{"message":"this input is too long"}}"#),
        false => embeddings(request),
    });
    let results = setup.search_all(["ebb", "poison", "flood"].into_iter().map(str::to_owned)).await;
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(200), Some(422), Some(200)], "{results:?}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn worker_of_the_version_before_computes_the_vectors_of_a_batch() {
    let setup = Setup::of(TestApp::start().await, &json!({})).await;
    let config = setup.app.deployment.config(&[]);
    let (queue, lifecycle) = (Queue::connect(&config.nats, &config.queue).await.unwrap(), Lifecycle::new());
    // It reads one text of a request.
    let answer = |query: EmbedQuery| async move {
        if query.text == "poison" { EmbedReply::Rejected } else { EmbedReply::Vector(vec![0.6, 0.8, 0.0]) }
    };
    queue.answer_queries(&lifecycle, answer).await.unwrap();
    wait_until("the worker answers", async || (setup.search("flood").await.status == 200).then_some(())).await;
    let results = setup.search_all(["tide", "poison", "ebb"].into_iter().map(str::to_owned)).await;
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(200), Some(422), Some(200)], "{results:?}");
    lifecycle.soft().cancel();
    lifecycle.finish(Duration::from_secs(5)).await;
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn spent_budget_of_a_connection_fails_the_file() {
    let setup = Setup::new(&json!({ "pricePerMillion": 100_000, "monthlyBudget": 0 })).await;
    let file = setup.upload("tides.txt", "The tide rises twice a day.").await;
    let file = setup.app.finished_file(&setup.ada, &setup.workspace, &file).await;
    assert_eq!(file["failure"]["code"], "budget_exceeded", "{file}");
    assert!(setup.server.requests().is_empty());
    setup.app.stop().await;
}

#[actix_web::test]
async fn space_of_a_connection_goes_with_its_last_collection() {
    let setup = Setup::new(&json!({})).await;
    let spaces = "embedding_space where connection_id is not null";
    assert_eq!(setup.app.count(spaces).await, 1);
    let other = setup.app.create_workspace(&setup.ada, "Other").await;
    let foreign = json!({ "name": "c", "connection": setup.connection });
    let created = setup.app.post(&setup.ada, &format!("/api/v1/workspaces/{other}/collections"), &foreign).await;
    created.problem(404, "not_found");
    let own = json!({ "name": "c", "connection": setup.connection });
    setup.app.post(&setup.ada, &setup.path("collections"), &own).await.expect(201);
    assert_eq!(setup.app.count(spaces).await, 1, "two collections of a connection share its space");
    assert_eq!(setup.app.delete(&setup.ada, &setup.path("collections/c")).await.status, 204);
    let models = setup.app.get(&setup.ada, "/api/v1/embedding-models").await.expect(200);
    setup.patch("collections/default", &json!({ "model": models["items"][0]["name"] })).await.expect(200);
    wait_until("maintenance removes the space", async || {
        setup.app.sql("update maintenance_lease set due_at = now() - interval '1 second' where name = 'gc'").await;
        (setup.app.count(spaces).await == 0).then_some(())
    })
    .await;
    setup.app.stop().await;
}
