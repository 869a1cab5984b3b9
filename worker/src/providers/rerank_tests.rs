//! The protocols of rerankers against a server on a socket, and its faults.

use std::time::Duration;

use nvisy_shared::domain::connection::reranking::Reranking;
use serde_json::{Value, json};

use super::{
    rerank::{RerankClient, Scores},
    tests::{Server, credentials, http, ok, outbound},
};

fn client(provider: &str, base_url: &str) -> RerankClient {
    let reranking = Reranking::of(provider, &json!({ "model": "m-1", "baseUrl": base_url }), None);
    RerankClient::new(outbound(), reranking.unwrap().unwrap(), Some(credentials()))
}

async fn score(provider: &str, base_url: &str) -> Result<Scores, super::ModelFailure> {
    client(provider, base_url).score("tide", &["a", "b", "c"], Duration::from_secs(5)).await
}

#[tokio::test]
async fn protocols_are_spoken() {
    let results = json!([
        { "index": 2, "relevance_score": 0.9 }, { "index": 0, "relevance_score": 0.25 }, { "index": 1, "relevance_score": 0 },
    ]);
    let named = json!({ "model": "m-1", "query": "tide", "documents": ["a", "b", "c"], "top_n": 3 });
    let mut jina = named.clone();
    jina["return_documents"] = json!(false);
    let cases: [(&str, &str, Value, Value, Option<u64>); 3] = [
        (
            "cohere",
            "/v2/rerank",
            named,
            json!({ "results": results, "meta": { "billed_units": { "search_units": 1 } } }),
            None,
        ),
        ("jina", "/rerank", jina, json!({ "results": results, "usage": { "total_tokens": 42 } }), Some(42)),
        (
            "tei",
            "/rerank",
            json!({ "query": "tide", "texts": ["a", "b", "c"], "truncate": true }),
            json!([{ "index": 2, "score": 0.9 }, { "index": 0, "score": 0.25 }, { "index": 1, "score": 0.0 }]),
            None,
        ),
    ];
    for (provider, path, request, response, tokens) in cases {
        let server = Server::start(vec![ok(&response)]).await;
        let found = score(provider, &server.base_url).await.unwrap();
        assert_eq!(found, Scores { scores: vec![0.25, 0.0, 0.9], tokens }, "{provider}");
        let received = &server.requests()[0];
        assert!(received.head.starts_with(&format!("post {path} http/1.1\r\n")), "{}", received.head);
        assert!(received.head.contains("authorization: bearer key-7"), "{}", received.head);
        assert_eq!(received.body, request, "{provider}");
    }
}

#[tokio::test]
async fn responses_without_one_number_for_each_passage_are_invalid() {
    let item = |index: Value, score: Value| json!({ "index": index, "score": score });
    let three = |score: Value| json!([item(json!(0), json!(0.1)), item(json!(1), score), item(json!(2), json!(0.2))]);
    let cases = [
        ok(&json!([])),
        ok(&json!({ "results": [] })),
        ok(&json!([item(json!(0), json!(0.1)), item(json!(1), json!(0.2))])),
        ok(&json!([item(json!(0), json!(0.1)), item(json!(1), json!(0.2)), item(json!(1), json!(0.3))])),
        ok(&json!([item(json!(0), json!(0.1)), item(json!(1), json!(0.2)), item(json!(3), json!(0.3))])),
        ok(&json!([item(json!(0), json!(0.1)), item(json!(1), json!(0.2)), item(json!(-1), json!(0.3))])),
        ok(&three(json!("0.3"))),
        ok(&three(Value::Null)),
        http("200 OK", "", r#"[{"index":0,"score":NaN},{"index":1,"score":0.1},{"index":2,"score":0.1}]"#),
        http("200 OK", "", r#"[{"index":0,"score":1e999},{"index":1,"score":0.1},{"index":2,"score":0.1}]"#),
        http("200 OK", "content-type: text/html\r\n", "<html>Welcome</html>"),
        http("200 OK", "", ""),
    ];
    for response in cases {
        let server = Server::start(vec![response.clone()]).await;
        let failure = score("tei", &server.base_url).await.unwrap_err();
        assert_eq!(failure.name(), "invalid", "{response}: {failure}");
    }
    assert!(score("jina", &Server::start(vec![ok(&three(json!(0.3)))]).await.base_url).await.is_err());
}

#[tokio::test]
async fn faults_of_servers_have_a_type_and_no_key() {
    let cases = [
        ("429 Too Many Requests", "busy"),
        ("401 Unauthorized", "blocked"),
        ("500 Internal Server Error", "unavailable"),
        ("422 Unprocessable Entity", "rejected"),
        ("413 Payload Too Large", "rejected"),
    ];
    for (status, name) in cases {
        let server = Server::start(vec![http(status, "", r#"{"error":"the key key-7"}"#)]).await;
        let failure = score("jina", &server.base_url).await.unwrap_err();
        assert_eq!(failure.name(), name, "{failure}");
        assert!(failure.to_string().contains("[hidden]"), "{failure}");
    }
}
