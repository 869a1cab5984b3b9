//! Embedding servers that differ from OpenAI's, or do not accept the settings: what becomes of files and searches.

use serde_json::{Value, json};

use crate::support::{
    ModelRequest, ModelServer, TestAccount, TestApp, embedding_response, model_response, part, wait_until,
};

/// An API and a worker that embed with the server, and a workspace.
async fn start(server: &ModelServer) -> (TestApp, TestAccount, String) {
    let mut app = TestApp::start_with(&[
        ("NVISY_EMBEDDING_URL", &server.base_url),
        ("NVISY_EMBEDDING_MODEL", "foreign"),
        ("NVISY_EMBEDDING_DIMENSIONS", "2"),
        ("NVISY_EMBEDDING_API_KEY", "hunter2"),
    ])
    .await;
    app.start_worker().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    (app, ada, workspace)
}

/// A vector for each input of a request.
fn vectors(request: &ModelRequest) -> String {
    embedding_response(request, |_| [0.6, 0.8])
}

fn has(body: &Value, text: &str) -> bool {
    body["input"].as_array().into_iter().flatten().any(|input| input.as_str().is_some_and(|input| input.contains(text)))
}

#[actix_web::test]
async fn rejected_passage_costs_no_file() {
    let server = ModelServer::start().await;
    server.respond(|request| match has(&request.body, "poison") {
        true => model_response("400", "", r#"{"error":{"message":"this input is too long"}}"#),
        false => vectors(request),
    });
    let (app, ada, workspace) = start(&server).await;
    let text = format!("# One\n\nThe tide turns.\n\n# Two\n\n{}\n\n# Three\n\nThe moon rises.", "poison");
    let accepted = app.upload(&ada, &workspace, vec![part("a.md", text)]).await.expect(202);
    let file = app.finished_file(&ada, &workspace, accepted["items"][0]["id"].as_str().unwrap()).await;
    assert_eq!(file["state"], "ready", "{file}");
    let chunks = app.chunks(file["id"].as_str().unwrap()).await;
    let without: Vec<_> = chunks.iter().filter(|chunk| chunk.vectors == 0).map(|chunk| chunk.text.as_str()).collect();
    assert!(without.len() == 1 && without[0].contains("poison"), "{without:?}");
    let warned = "run_item_log where kind = 'warning' and detail like '%this input is too long%'";
    assert_eq!(app.count(warned).await, 1);
    app.stop().await;
}

#[actix_web::test]
async fn wrong_key_lets_files_wait_and_searches_say_which_model_is_away() {
    let server = ModelServer::start().await;
    server.fail(401, "the key hunter2 is wrong");
    let (app, ada, workspace) = start(&server).await;
    let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "The tide turns.")]).await.expect(202);
    let id = accepted["items"][0]["id"].as_str().unwrap().to_owned();
    let reason = wait_until("the file waits", async || {
        app.file(&ada, &workspace, &id).await["waiting"]["reason"].as_str().map(str::to_owned)
    })
    .await;
    assert!(
        reason.contains("`foreign`") && reason.contains("[hidden] is wrong") && !reason.contains("hunter2"),
        "{reason}"
    );
    let search = format!("/api/v1/workspaces/{workspace}/search");
    let by_vector = json!({ "query": "tide", "mode": "vector" });
    let problem = app.post(&ada, &search, &by_vector).await.problem(503, "unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("`foreign`"), "{problem}");
    assert!(!problem.to_string().contains("hunter2"), "{problem}");
    // A hybrid search goes on by words, and says so.
    let degraded = app.post(&ada, &search, &json!({ "query": "tide" })).await.expect(200);
    assert!(degraded["degraded"].as_str().unwrap().contains("`foreign`"), "{degraded}");
    assert!(!degraded.to_string().contains("hunter2"), "{degraded}");

    server.respond(vectors);
    // The wait is a minute; the test does not wait for it.
    app.sql("update job set run_at = now() where wait_reason is not null").await;
    assert_eq!(app.finished_file(&ada, &workspace, &id).await["state"], "ready");
    app.stop().await;
}

#[actix_web::test]
async fn exhausted_account_is_the_visible_reason_and_nonsense_the_cause_of_a_failure() {
    let server = ModelServer::start().await;
    let quota =
        json!({ "error": { "message": "You exceeded your current quota", "code": "insufficient_quota" } }).to_string();
    server.respond(move |_| model_response("429", "retry-after: 1\r\n", &quota));
    let (app, ada, workspace) = start(&server).await;
    let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "The tide turns.")]).await.expect(202);
    let id = accepted["items"][0]["id"].as_str().unwrap().to_owned();
    wait_until("the file waits", async || {
        let file = app.file(&ada, &workspace, &id).await;
        file["waiting"]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("exceeded your current quota"))
            .then_some(())
    })
    .await;
    server.respond(|_| model_response("200", "", "<html>Welcome</html>"));
    app.sql("update job set run_at = now() where wait_reason is not null").await;
    let failed = app.finished_file(&ada, &workspace, &id).await;
    assert_eq!(failed["failure"]["code"], "attempts_exhausted", "{failed}");
    assert!(failed["failure"]["detail"].as_str().unwrap().contains("the server's response is invalid"), "{failed}");
    app.stop().await;
}
