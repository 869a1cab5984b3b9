//! Searches whose embedding model accepts calls and answers none.

use serde_json::json;
use tokio::net::TcpListener;

use crate::support::TestApp;

#[actix_web::test]
async fn search_does_not_wait_for_a_model_that_never_answers() {
    // The kernel accepts connections, and no program reads from them.
    let model = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", model.local_addr().unwrap());
    let app = TestApp::start_with(&[
        ("NVISY_EMBEDDING_URL", url.as_str()),
        ("NVISY_EMBEDDING_TIMEOUT_SECONDS", "3600"),
        ("NVISY_SEARCH_EMBEDDING_SECONDS", "1"),
        ("NVISY_HTTP_REQUEST_SECONDS", "3600"),
    ])
    .await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let path = format!("/api/v1/workspaces/{workspace}/search");
    let by_vector = json!({ "query": "tide", "mode": "vector" });
    // The first search waits for the limit, the others do not.
    for _ in 0..3 {
        let problem = app.post(&ada, &path, &by_vector).await.problem(503, "unavailable");
        assert!(problem["detail"].as_str().unwrap().contains("model `none` is not available"), "{problem}");
        let degraded = app.post(&ada, &path, &json!({ "query": "tide" })).await.expect(200);
        let reason = degraded["degraded"].as_str().unwrap();
        assert!(reason.contains("model `none` is not available"), "{degraded}");
    }
    let batch = json!({ "searches": [{ "query": "ebb" }, by_vector, { "query": "tide", "mode": "text" }] });
    let batch = app.post(&ada, &format!("{path}/batch"), &batch).await.expect(200);
    let statuses: Vec<_> =
        batch["results"].as_array().unwrap().iter().map(|result| result["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(200), Some(503), Some(200)], "{batch}");
    app.stop().await;
}
