//! Several searches in one request.

use serde_json::{Value, json};

use crate::support::{
    ModelServer, Searched, TestAccount, TestApp, TestFile, embedding_response, hit_names, part, wait_until,
};

#[actix_web::test]
async fn batch_has_the_result_or_the_problem_of_each_search() {
    let searched = Searched::new(&[
        TestFile::new("seals.txt", "Grey seals rest on the sandbank."),
        TestFile::new("cable.txt", "Fault code E-417 means a blown fuse."),
    ])
    .await;
    let batch = json!({ "searches": [
        { "query": "E-417", "mode": "text" },
        { "query": "seals", "collections": ["unknown"] },
        { "query": "seals", "filter": { "field": "colour", "op": "eq", "value": "grey" } },
        { "query": "resting animals", "mode": "vector", "limit": 1, "explain": true },
        { "query": "?!" },
        { "vector": [0.5], "mode": "vector" },
    ] });
    let response = searched.post("search/batch", &batch).await.expect(200);
    let results = response["results"].as_array().unwrap();
    let statuses: Vec<u64> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 404, 400, 200, 200, 422]);
    assert_eq!(hit_names(&results[0]["response"]), ["cable.txt"]);
    assert_eq!(results[1]["problem"]["code"], "not_found");
    assert_eq!(results[2]["problem"]["code"], "invalid_filter");
    assert_eq!(hit_names(&results[3]["response"]), ["seals.txt"]);
    assert_eq!(results[3]["response"]["plan"], "exact");
    assert_eq!(hit_names(&results[4]["response"]), [""; 0]);
    assert_eq!(results[5]["problem"]["errors"][0]["field"], "vector");
    // The same as alone.
    let alone = searched.search(batch["searches"][3].clone()).await;
    assert_eq!(alone["hits"][0]["score"], results[3]["response"]["hits"][0]["score"]);
    let search = json!({ "query": "tide" });
    for bad in [json!([]), json!(vec![search.clone(); 33]), json!([search, { "query": "x", "limit": 101 }])] {
        searched.post("search/batch", &json!({ "searches": bad })).await.problem(422, "invalid_body");
    }
    // Each search of the batch counts.
    let usage = searched.path("usage");
    wait_until("all searches are counted", async || {
        let usage = searched.app.get(&searched.ada, &usage).await.expect(200);
        let days = usage["searches"].as_array().unwrap().iter();
        (days.map(|day| day["count"].as_u64().unwrap()).sum::<u64>() >= 4).then_some(())
    })
    .await;
    searched.app.stop().await;
}

#[actix_web::test]
async fn batch_takes_as_many_requests_from_the_limit_as_it_has_searches() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_WORKSPACE_MINUTE", "40")]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let path = format!("/api/v1/workspaces/{workspace}/search/batch");
    let batch = |count: usize| json!({ "searches": vec![json!({ "query": "tide", "mode": "text" }); count] });
    app.post(&ada, &path, &batch(30)).await.expect(200);
    let problem = app.post(&ada, &path, &batch(30)).await.problem(429, "too_many_requests");
    assert!(problem["retryAfter"].as_u64() > Some(10), "{problem}");
    // The rejected batch has spent one, not what was left.
    app.post(&ada, &path, &batch(3)).await.expect(200);
    app.stop().await;
}

/// An API whose model is that of a server, with a file.
async fn start(server: &ModelServer) -> (TestApp, TestAccount, String) {
    server.respond(|request| {
        let mut places = 0..;
        embedding_response(request, |_| [1.0, f64::from(places.next().unwrap_or(0)), 0.5])
    });
    let app = TestApp::start_with_worker(&[
        ("NVISY_EMBEDDING_PROVIDER", "openai"),
        ("NVISY_EMBEDDING_URL", &server.base_url),
        ("NVISY_EMBEDDING_MODEL", "foreign"),
        ("NVISY_EMBEDDING_DIMENSIONS", "3"),
    ])
    .await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "The tide turns.")]).await.expect(202);
    let file = app.finished_file(&ada, &workspace, accepted["items"][0]["id"].as_str().unwrap()).await;
    assert_eq!(file["state"], "ready", "{file}");
    (app, ada, format!("/api/v1/workspaces/{workspace}/search"))
}

/// The texts of each request after the first ones.
fn texts(server: &ModelServer, first: usize) -> Vec<Vec<String>> {
    let of = |input: &Value| input.as_array().cloned().unwrap_or_else(|| vec![input.clone()]);
    let texts = |input: &Value| of(input).iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    server.requests()[first..].iter().map(|request| texts(&request.body["input"])).collect()
}

#[actix_web::test]
async fn queries_of_a_batch_are_embedded_together_and_kept() {
    let server = ModelServer::start().await;
    let (app, ada, path) = start(&server).await;
    let before = server.requests().len();
    let searches: Vec<Value> =
        (0..32).map(|n| json!({ "query": format!("question  {n}"), "mode": "vector" })).collect();
    app.post(&ada, &format!("{path}/batch"), &json!({ "searches": searches })).await.expect(200);
    let requests = texts(&server, before);
    assert_eq!(requests.iter().map(Vec::len).collect::<Vec<_>>(), [32], "one request has all queries");
    assert_eq!(requests[0][7], "question 7");
    // Known queries call no model, whatever their white space.
    let found = app.post(&ada, &path, &json!({ "query": " question 7\n", "mode": "vector" })).await.expect(200);
    assert_eq!((hit_names(&found).len(), server.requests().len()), (1, before + 1));
    app.stop().await;
}
