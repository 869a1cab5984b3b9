//! Connections: creating, changing and checking them, and that credentials stay where they are.

use serde_json::{Value, json};

use crate::support::{ModelServer, TestAccount, TestApp, TestResponse, wait_until};

struct Setup {
    app: TestApp,
    ada: TestAccount,
    connections: String,
}

impl Setup {
    async fn of(app: TestApp) -> Self {
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        Self { app, ada, connections: format!("/api/v1/workspaces/{workspace}/connections") }
    }

    async fn create(&self, body: &Value) -> TestResponse {
        self.app.post(&self.ada, &self.connections, body).await
    }

    async fn patch(&self, path: &str, body: &Value, tag: Option<&str>) -> TestResponse {
        self.app.patch_if(&self.ada, path, body, tag).await
    }
}

fn connection(name: &str, url: &str) -> Value {
    json!({
        "name": name, "provider": "openai", "settings": { "model": "m-1", "baseUrl": url },
        "credentials": { "apiKey": "hunter2" },
    })
}

#[actix_web::test]
async fn connection_is_created_read_changed_and_deleted() {
    let setup = Setup::of(TestApp::start().await).await;
    let created = setup.create(&connection("main", "http://127.0.0.1:9/v1")).await;
    let path = created.header("location").to_owned();
    let created = created.expect(201);
    assert_eq!((&created["kind"], &created["provider"]), (&json!("model"), &json!("openai")));
    assert_eq!((&created["hasCredentials"], &created["enabled"]), (&json!(true), &json!(true)));
    let read = setup.app.get(&setup.ada, &path).await;
    let tag = read.header("etag").to_owned();
    assert_eq!(read.expect(200), created);
    setup.create(&connection("main", "http://127.0.0.1:9/v1")).await.problem(409, "name_taken");
    let list = setup.app.get(&setup.ada, &setup.connections).await.expect(200);
    assert_eq!(list["items"], json!([created]));

    let changed = setup.patch(&path, &json!({ "enabled": false, "name": "other" }), Some(&tag)).await.expect(200);
    assert_eq!((&changed["enabled"], &changed["name"]), (&json!(false), &json!("other")));
    setup.patch(&path, &json!({ "enabled": true }), Some(&tag)).await.problem(412, "precondition_failed");
    let removed = setup.patch(&path, &json!({ "credentials": null }), None).await.expect(200);
    assert_eq!(removed["hasCredentials"], false);
    assert_eq!(setup.app.delete(&setup.ada, &path).await.status, 204);
    setup.app.get(&setup.ada, &path).await.problem(404, "not_found");
    setup.app.stop().await;
}

#[actix_web::test]
async fn settings_are_checked_and_closed_addresses_rejected() {
    let setup = Setup::of(TestApp::start_with(&[("NVISY_OUTBOUND_ALLOWED_NETWORKS", "")]).await).await;
    let field =
        async |body: Value| setup.create(&body).await.problem(422, "invalid_body")["errors"][0]["field"].clone();
    assert_eq!(field(json!({ "name": "a", "provider": "none", "settings": {} })).await, "provider");
    assert_eq!(field(json!({ "name": "a", "provider": "openai", "settings": { "model": 1 } })).await, "settings.model");
    assert_eq!(
        field(json!({ "name": "a", "provider": "anthropic", "settings": { "model": "m" } })).await,
        "credentials"
    );
    for url in
        ["http://127.0.0.1:9/v1", "http://169.254.169.254/", "http://[::1]/", "http://10.0.0.1/", "http://2130706433/"]
    {
        assert_eq!(field(connection("a", url)).await, "settings.baseUrl", "{url}");
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn credentials_are_sealed_and_do_not_follow_to_another_address() {
    let setup = Setup::of(TestApp::start().await).await;
    let created = setup.create(&connection("main", "http://127.0.0.1:9/v1")).await;
    let path = created.header("location").to_owned();
    assert!(!created.expect(201).to_string().contains("hunter2"));
    let stored =
        "connection where position('hunter2'::bytea in credentials) = 0 and settings::text not like '%hunter2%'";
    assert_eq!(setup.app.count(stored).await, 1);
    let elsewhere = json!({ "settings": { "model": "m-1", "baseUrl": "http://127.0.0.2:9/v1" } });
    let problem = setup.patch(&path, &elsewhere, None).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "credentials");
    let same = json!({ "settings": { "model": "m-2", "baseUrl": "http://127.0.0.1:9/v1" } });
    assert_eq!(setup.patch(&path, &same, None).await.expect(200)["settings"]["model"], "m-2");
    let mut with_key = elsewhere;
    with_key["credentials"] = json!({ "apiKey": "hunter2-other" });
    setup.patch(&path, &with_key, None).await.expect(200);
    setup.app.stop().await;
}

#[actix_web::test]
async fn check_asks_the_model_and_says_what_failed() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let server = ModelServer::start().await;
    let created = setup.create(&connection("main", &server.base_url)).await;
    let path = created.header("location").to_owned();
    let check = format!("{path}/check");
    server.answer(json!({ "ok": true }));
    let checked = setup.app.post(&setup.ada, &check, &json!({})).await.expect(200);
    assert_eq!(checked["check"]["state"], "ok", "{checked}");
    let names: Vec<_> = checked["check"]["steps"].as_array().unwrap().iter().map(|step| step["name"].clone()).collect();
    assert_eq!(names, ["address", "answer", "json"]);
    assert!(server.requests()[0].head.contains("authorization: bearer hunter2"));

    server.fail(401, "the key hunter2 is wrong");
    let checked = setup.app.post(&setup.ada, &check, &json!({})).await.expect(200);
    assert_eq!(checked["check"]["state"], "failed");
    let detail = checked["check"]["steps"][1]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("[hidden] is wrong") && !detail.contains("hunter2"), "{detail}");
    wait_until("the check is stored", async || {
        let read = setup.app.get(&setup.ada, &path).await.expect(200);
        (read["check"]["checkedAt"].is_string()).then_some(())
    })
    .await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn providers_have_schemas_that_accept_their_settings() {
    let setup = Setup::of(TestApp::start().await).await;
    let providers = setup.app.get(&setup.ada, "/api/v1/providers").await.expect(200);
    let names: Vec<_> = providers["items"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names[..5], ["openai", "anthropic", "gemini", "cohere", "ollama"]);
    assert_eq!(names[5..11], ["s3", "gcs", "azure_blob", "webdav", "sftp", "local_folder"]);
    let capabilities = &providers["items"][5]["capabilities"];
    assert_eq!(*capabilities, json!(["discover", "read", "write", "delete"]));
    assert_eq!(names[11..14], ["website", "rest", "git"]);
    assert_eq!(names[14], "imap");
    assert_eq!(names[15..21], ["postgresql", "mysql", "qdrant", "weaviate", "milvus", "pinecone"]);
    assert_eq!(names[21..], ["openai-embeddings", "jina", "tei"]);
    let items = providers["items"].as_array().unwrap().iter();
    let rerank = items.filter(|one| one["capabilities"].as_array().unwrap().contains(&json!("rerank")));
    assert_eq!(rerank.map(|one| one["name"].clone()).collect::<Vec<_>>(), ["cohere", "jina", "tei"]);
    let schema = &providers["items"][0]["settingsSchema"];
    assert_eq!(schema["required"], json!(["model"]));
    assert!(schema["properties"]["baseUrl"].is_object() && schema["additionalProperties"] == false);
    assert_eq!(providers["items"][0]["credentialsSchema"]["required"], json!(["apiKey"]));
    assert!(providers["items"][0].get("streamSchema").is_none(), "a model has no documents");
    assert!(providers["items"][15]["streamSchema"]["properties"]["cursor"].is_object());
    setup.app.stop().await;
}
