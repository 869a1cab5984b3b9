//! Embedding spaces by request: fewer dimensions than the model has, and indexes of one bit per dimension.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    ModelRequest, ModelServer, QuickWorker, TestAccount, TestApp, TestResponse, embedding_response, part, send,
    wait_until,
};

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
    server: ModelServer,
}

impl Setup {
    /// A server whose model has eight dimensions. `settings` are further ones of the installation.
    async fn new(settings: &[(&str, &str)]) -> Self {
        let server = ModelServer::start().await;
        server.respond(|request| embeddings(request, 8));
        let model = [
            ("NVISY_EMBEDDING_URL", server.base_url.as_str()),
            ("NVISY_EMBEDDING_MODEL", "eight"),
            ("NVISY_EMBEDDING_DIMENSIONS", "8"),
        ];
        let mut app = TestApp::start_with(&[&model, settings].concat()).await;
        app.start_worker().await;
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        Self { app, ada, workspace, server }
    }

    async fn request(&self, method: Method, path: &str, body: Value) -> TestResponse {
        let path = format!("/api/v1/workspaces/{}/{path}", self.workspace);
        let request = self.app.request(method, &path).bearer_auth(&self.ada.token);
        send(if body.is_null() { request } else { request.json(&body) }).await
    }

    async fn connection(&self, settings: Value) -> String {
        let mut all = json!({ "model": "e-1", "dimensions": 8, "baseUrl": self.server.base_url });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let body = json!({ "name": "vectors", "provider": "openai-embeddings", "settings": all });
        let created = self.request(Method::POST, "connections", body).await.expect(201);
        created["id"].as_str().unwrap().to_owned()
    }

    async fn upload(&self) {
        for (name, text) in [("tides.txt", "The tide rises twice a day."), ("seals.txt", "Seals rest on the sand.")] {
            let accepted = self.app.upload(&self.ada, &self.workspace, vec![part(name, text)]).await.expect(202);
            let file = accepted["items"][0]["id"].as_str().unwrap();
            let file = self.app.finished_file(&self.ada, &self.workspace, file).await;
            assert_eq!(file["state"], "ready", "{file}");
        }
    }

    /// Searches by text and by the vector of the text.
    async fn assert_tides_are_found(&self, vector: &[f64]) {
        let by_text = json!({ "query": "when is the tide", "mode": "vector" });
        // Of any length.
        let long: Vec<f64> = vector.iter().map(|number| number * 1e9).collect();
        let by_vector = json!({ "vector": long, "mode": "vector" });
        for body in [by_text, by_vector] {
            let found = self.request(Method::POST, "search", body).await.expect(200);
            let hits = found["hits"].as_array().unwrap();
            assert_eq!((hits.len(), &hits[0]["file"]["name"]), (2, &json!("tides.txt")), "{found}");
            assert!(hits[0]["scores"]["vector"].as_f64().unwrap() > 0.99, "{found}");
        }
    }

    /// The lengths of the stored vectors, in numbers and in space.
    async fn stored(&self) -> Vec<(i32, f64)> {
        let sql = "select vector_dims(vector::vector) as dimensions, l2_norm(vector) as length from embedding";
        let rows = self.app.rows(sql).await;
        rows.iter().map(|row| (row.try_get("", "dimensions").unwrap(), row.try_get("", "length").unwrap())).collect()
    }

    async fn assert_rejected(&self, method: Method, path: &str, body: Value, field: &str, reason: &str) {
        let problem = self.request(method, path, body).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        assert!(problem["errors"][0].to_string().contains(reason), "{problem}");
    }
}

/// Texts about tides have one direction, all others another; both differ in the first numbers.
fn embeddings(request: &ModelRequest, model_dimensions: usize) -> String {
    let dimensions = request.body["dimensions"].as_u64().map_or(model_dimensions, |named| named as usize);
    embedding_response(request, |text| direction(text.contains("tide"), dimensions))
}

fn direction(about_tides: bool, dimensions: usize) -> Vec<f64> {
    (0..dimensions).map(|place| if (place % 2 == 0) == about_tides { 1.0 } else { -0.1 }).collect()
}

#[actix_web::test]
async fn collection_of_a_truncatable_connection_has_the_requested_dimensions_and_index() {
    for requested in [false, true] {
        let setup = Setup::new(&[]).await;
        let connection = setup.connection(json!({ "truncatable": true, "requestDimensions": requested })).await;
        let body = json!({ "connection": connection, "dimensions": 4, "quantisation": "binary" });
        let space = setup.request(Method::PATCH, "collections/default", body).await.expect(200)["space"].take();
        assert_eq!(
            (&space["dimensions"], &space["quantisation"], &space["connectionId"]),
            (&json!(4), &json!("binary"), &json!(connection))
        );
        setup.upload().await;
        setup.assert_tides_are_found(&direction(true, 4)).await;
        let stored = setup.stored().await;
        assert_eq!(stored.len(), 2);
        assert!(
            stored.iter().all(|(dimensions, length)| *dimensions == 4 && (length - 1.0).abs() < 1e-3),
            "{stored:?}"
        );
        let named = setup.server.requests().iter().all(|request| request.body["dimensions"] == json!(4));
        assert_eq!(named, requested);
        // The vectors of the collection could not be computed any more.
        let settings = json!({ "model": "e-1", "dimensions": 8, "baseUrl": setup.server.base_url });
        let path = format!("connections/{connection}");
        setup.request(Method::PATCH, &path, json!({ "settings": settings })).await.problem(409, "in_use");
        setup.app.stop().await;
    }
}

#[actix_web::test]
async fn dimensions_that_a_model_does_not_have_are_rejected() {
    let setup = Setup::new(&[]).await;
    let connection = setup.connection(json!({ "truncatable": true })).await;
    let (post, patch) = (Method::POST, Method::PATCH);
    let second = "collections/default/second-space";
    for (dimensions, reason) in [(0, "1"), (9, "between 1 and 8"), (4_097, "4096")] {
        let body = json!({ "connection": connection, "dimensions": dimensions });
        for (method, path) in [(&patch, "collections/default"), (&post, second), (&post, &format!("{second}/estimate"))]
        {
            setup.assert_rejected(method.clone(), path, body.clone(), "dimensions", reason).await;
        }
        let named = json!({ "name": "c", "connection": connection, "dimensions": dimensions });
        setup.assert_rejected(post.clone(), "collections", named, "dimensions", reason).await;
    }
    let body = json!({ "name": "c", "model": "eight", "dimensions": 4 });
    setup.assert_rejected(post.clone(), "collections", body, "dimensions", "truncatable").await;
    for body in [json!({ "dimensions": 4 }), json!({ "quantisation": "binary" })] {
        setup.assert_rejected(patch.clone(), "collections/default", body, "model", "must be set with").await;
    }
    let own = json!({ "model": "eight", "dimensions": 8, "quantisation": "half" });
    setup.assert_rejected(post.clone(), second, own, "model", "another `quantisation`").await;
    let settings = json!({ "model": "e-1", "dimensions": 4_097, "baseUrl": setup.server.base_url });
    let long = json!({ "name": "long", "provider": "openai-embeddings", "settings": settings });
    setup.assert_rejected(post, "connections", long, "settings.dimensions", "4096").await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn vectors_of_4096_dimensions_have_a_binary_index_and_are_found() {
    let setup = Setup::new(&[]).await;
    setup.server.respond(|request| embeddings(request, 4_096));
    let connection = setup.connection(json!({ "dimensions": 4_096 })).await;
    let half = json!({ "connection": connection, "quantisation": "half" });
    let path = "collections/default";
    setup.assert_rejected(Method::PATCH, path, half, "quantisation", "above 4000 dimensions").await;
    let changed = setup.request(Method::PATCH, path, json!({ "connection": connection })).await.expect(200);
    let space = &changed["space"];
    assert_eq!((&space["dimensions"], &space["quantisation"]), (&json!(4_096), &json!("binary")), "{space}");
    setup.upload().await;
    let id = space["id"].as_str().unwrap();
    setup.app.sql(&format!("select create_space_index('{id}', 4096)")).await;
    setup.assert_tides_are_found(&direction(true, 4_096)).await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn large_space_is_indexed_soon_after_garbage_collection_has_run() {
    let setup = Setup::new(&[]).await;
    let worker = QuickWorker::start(&setup.app).await;
    let body = json!({ "model": "eight", "quantisation": "binary" });
    let space = setup.request(Method::PATCH, "collections/default", body).await.expect(200)["space"].take();
    setup.upload().await;
    wait_until("garbage collection waits for its next time", async || {
        let waits = "maintenance_lease where name = 'gc' and due_at > now() + interval '5 minutes'";
        (setup.app.count(waits).await == 1).then_some(())
    })
    .await;
    let index = format!("embedding_hnsw_{}", space["id"].as_str().unwrap().replace('-', ""));
    let indexes = format!("pg_index where indexrelid = to_regclass('{index}') and indisvalid");
    assert_eq!(setup.app.count(&indexes).await, 0, "two vectors need no index");
    setup.app.sql("update collection_usage set vectors = 10000").await;
    wait_until("the space has an index", async || (setup.app.count(&indexes).await == 1).then_some(())).await;
    setup.assert_tides_are_found(&direction(true, 8)).await;
    worker.stop().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn collection_moves_to_a_binary_index_without_new_vectors_and_to_fewer_dimensions() {
    let setup = Setup::new(&[("NVISY_EMBEDDING_TRUNCATABLE", "true")]).await;
    let models = setup.app.get(&setup.ada, "/api/v1/embedding-models").await.expect(200);
    let expected = json!({
        "name": "eight", "provider": "openai", "dimensions": 8, "modelDimensions": 8, "truncatable": true
    });
    assert_eq!(models["items"], json!([expected]));
    setup.upload().await;
    let second = "collections/default/second-space";
    let (calls, passages) = (setup.server.requests().len(), 2);
    for (body, known) in [
        (json!({ "model": "eight", "quantisation": "binary" }), passages),
        (json!({ "model": "eight", "quantisation": "binary", "dimensions": 4 }), 0),
    ] {
        let estimate = setup.request(Method::POST, &format!("{second}/estimate"), body.clone()).await.expect(200);
        assert_eq!((&estimate["chunks"], &estimate["knownChunks"]), (&json!(passages - known), &json!(known)));
        let created = setup.request(Method::POST, second, body.clone()).await.expect(201);
        assert_eq!(created["space"]["quantisation"], "binary");
        wait_until("the second space is ready", async || {
            let second = setup.request(Method::GET, second, Value::Null).await.expect(200);
            (second["state"] == "ready").then_some(())
        })
        .await;
        let is_called = setup.server.requests().len() > calls;
        assert_eq!(is_called, known == 0, "vectors that differ by their index only are not computed again");
        setup.request(Method::POST, &format!("{second}/exchange"), Value::Null).await.expect(200);
        assert_eq!(setup.request(Method::DELETE, second, Value::Null).await.status, 204);
        wait_until("the second space is deleted", async || {
            (setup.request(Method::GET, second, Value::Null).await.status == 404).then_some(())
        })
        .await;
        let space = setup.request(Method::GET, "collections/default", Value::Null).await.expect(200)["space"].take();
        assert_eq!((&space["model"], &space["quantisation"]), (&json!("eight"), &json!("binary")), "{space}");
    }
    setup.assert_tides_are_found(&direction(true, 4)).await;
    assert!(setup.stored().await.iter().all(|(dimensions, _)| *dimensions == 4));
    // New files get vectors of the requested space, too, and the space before is deleted.
    setup.upload().await;
    assert!(setup.stored().await.iter().all(|(dimensions, _)| *dimensions == 4));
    wait_until("maintenance removes the space before", async || {
        setup.app.sql("update maintenance_lease set due_at = now() - interval '1 second' where name = 'gc'").await;
        (setup.app.count("embedding_space where on_request").await == 1).then_some(())
    })
    .await;
    setup.app.stop().await;
}
