//! Searches whose reranker is away, gives nonsense, or may not be used.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Reranked, hit_names, model_response};

/// A response with these results.
fn results(results: &str) -> String {
    model_response("200", "content-type: application/json\r\n", &format!("{{\"results\":{results}}}"))
}

fn scores(count: usize, score: &str) -> String {
    let items: Vec<String> =
        (0..count).map(|index| format!("{{\"index\":{index},\"relevance_score\":{score}}}")).collect();
    results(&format!("[{}]", items.join(",")))
}

#[actix_web::test]
async fn hits_stay_in_their_order_with_the_reason_while_the_server_gives_no_scores() {
    let setup = Reranked::new(&json!({ "timeoutSeconds": 1 })).await;
    let plain = setup.search(json!({})).await;
    let rerank = json!({ "connection": "reranker" });
    let degraded = async |reason: &str| {
        for mode in ["text", "vector", "hybrid"] {
            let found = setup.search(json!({ "mode": mode, "rerank": rerank })).await;
            let said = found["degraded"].as_str().unwrap_or_else(|| panic!("{reason}: {found}")).to_owned();
            assert!(said.contains("not reranked") && said.contains(reason), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
            let hits = found["hits"].as_array().unwrap();
            assert!(hits.len() == 6 && hits.iter().all(|hit| hit["scores"]["rerank"].is_null()), "{found}");
            if mode == "text" {
                assert_eq!(hit_names(&found), hit_names(&plain));
            }
        }
    };
    let faults = [
        (scores(5, "0.5"), "5 scores for 6 passages"),
        (scores(7, "0.5"), "7 scores for 6 passages"),
        (scores(6, "NaN"), "it is not JSON"),
        (scores(6, "1e999"), "it is not JSON"),
        (scores(6, "null"), "score of each passage"),
        (scores(6, "\"high\""), "score of each passage"),
        (results("[1,2,3,4,5,6]"), "index of each passage"),
        (results("{}"), "list of results"),
        (model_response("200", "", "<html>Welcome</html>"), "it is not JSON"),
        (model_response("200", "", ""), "it is not JSON"),
        (model_response("422", "", r#"{"detail":"too many documents"}"#), "too many documents"),
    ];
    for (response, reason) in faults {
        setup.server.respond(move |_| response.clone());
        degraded(reason).await;
    }
    setup.server.answer_after(Duration::from_secs(3));
    let found = setup.search(json!({ "rerank": rerank })).await;
    assert!(found["degraded"].as_str().unwrap().contains("reranker"), "{found}");
    assert_eq!(hit_names(&found), hit_names(&plain));
    assert!(found["tookMs"].as_u64() < Some(2_900), "{found}");
    setup.server.answer_after(Duration::ZERO);
    setup.server.fail(500, "out of memory");
    degraded("out of memory").await;

    // A server that rejects the key is not called for a minute, or until the connection is changed.
    setup.patch_connection(&json!({ "credentials": { "apiKey": "hunter2" } })).await.expect(200);
    setup.server.fail(401, "the key hunter2 is wrong");
    let calls = setup.server.requests().len();
    degraded("[hidden] is wrong").await;
    assert_eq!(setup.server.requests().len(), calls + 1);
    setup.server.respond(crate::support::reranked_response);
    setup.patch_connection(&json!({ "credentials": { "apiKey": "hunter2-other" } })).await.expect(200);
    let found = setup.search(json!({ "rerank": rerank })).await;
    assert_eq!((hit_names(&found)[0], &found["degraded"]), ("c.txt", &Value::Null), "{found}");
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn server_that_is_away_is_not_called_by_every_search() {
    let setup = Reranked::new(&json!({})).await;
    setup.server.fail(503, "starting");
    let rerank = json!({ "rerank": { "connection": "reranker" } });
    for _ in 0..8 {
        let found = setup.search(rerank.clone()).await;
        assert!(found["degraded"].as_str().unwrap().contains("starting"), "{found}");
    }
    assert_eq!(setup.server.requests().len(), 5, "the circuit is open after five failures");
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn limits_of_the_connection_hold_for_searches() {
    let limits =
        json!({ "rateLimit": { "calls": 2, "perSeconds": 3600 }, "pricePerMillion": 100_000, "monthlyBudget": 100 });
    let setup = Reranked::new(&limits).await;
    // Scores of another query are not known.
    let search =
        async |query: &str| setup.search(json!({ "query": query, "rerank": { "connection": "reranker" } })).await;
    for query in ["turbine", "turbine water", "turbine"] {
        assert_eq!(hit_names(&search(query).await)[0], "c.txt");
    }
    let found = search("turbine notes").await;
    assert!(found["degraded"].as_str().unwrap().contains("`rateLimit`"), "{found}");
    let settings = json!({
        "model": "rerank-1", "baseUrl": setup.server.base_url, "pricePerMillion": 100_000, "monthlyBudget": 10,
    });
    setup.patch_connection(&json!({ "settings": settings })).await.expect(200);
    let found = search("turbine notes").await;
    assert!(found["degraded"].as_str().unwrap().contains("budget"), "2 calls of 70 tokens have cost 14: {found}");
    assert_eq!(setup.server.requests().len(), 2);

    let settings =
        json!({ "model": "rerank-1", "baseUrl": setup.server.base_url, "concurrency": 1, "timeoutSeconds": 2 });
    setup.patch_connection(&json!({ "settings": settings })).await.expect(200);
    setup.server.answer_after(Duration::from_millis(1_500));
    let (one, other) = tokio::join!(search("turbine notes"), search("turbine harbour"));
    let reasons: Vec<&str> = [&one, &other].into_iter().filter_map(|found| found["degraded"].as_str()).collect();
    assert_eq!(reasons.len(), 1, "the second one waits and has no time left: {one} {other}");
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn connections_that_cannot_rerank_are_problems() {
    let setup = Reranked::new(&json!({})).await;
    let (app, ada) = (&setup.searched.app, &setup.searched.ada);
    let post = async |rerank: Value| setup.searched.post("search", &setup.body(json!({ "rerank": rerank }))).await;
    let other = app.create_workspace(ada, "Other").await;
    let settings = json!({ "model": "m", "baseUrl": setup.server.base_url });
    let foreign = json!({ "name": "foreign", "provider": "jina", "settings": settings });
    let foreign = app.post(ada, &format!("/api/v1/workspaces/{other}/connections"), &foreign).await.expect(201);
    for unknown in [json!("none"), json!("foreign"), foreign["id"].clone()] {
        post(json!({ "connection": unknown })).await.problem(404, "not_found");
    }
    let chat = json!({ "name": "chat", "provider": "openai", "settings": settings });
    setup.searched.post("connections", &chat).await.expect(201);
    let problem = post(json!({ "connection": "chat" })).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "rerank.connection", "{problem}");
    setup.patch_connection(&json!({ "enabled": false })).await.expect(200);
    let problem = post(json!({ "connection": "reranker" })).await.problem(409, "no_reranker");
    assert!(problem["detail"].as_str().unwrap().contains("`reranker` is disabled"), "{problem}");
    post(json!({ "model": "local" })).await.problem(409, "no_reranker");
    for bad in [
        json!("magic"),
        json!({}),
        json!(null),
        json!({ "model": "other" }),
        json!({ "connection": "reranker", "candidates": 101 }),
        json!({ "connection": "reranker", "candidates": 0 }),
        json!({ "connection": "reranker", "limit": 1 }),
        json!({ "model": "local", "candidates": "10" }),
    ] {
        post(bad).await.problem(422, "invalid_body");
    }
    setup.patch_connection(&json!({ "enabled": true })).await.expect(200);
    let vector = json!({ "mode": "vector", "vector": vec![0.1; 384], "rerank": { "connection": "reranker" } });
    setup.searched.post("search", &vector).await.problem(422, "invalid_body");
    assert!(setup.server.requests().is_empty());
    setup.searched.app.stop().await;
}
