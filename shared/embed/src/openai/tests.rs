//! The provider against a real HTTP server that answers what a test wants.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, redirect::Policy};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::{ApiKey, EmbedError, EmbedSettings, Embedder, OpenAiSettings, Provider, Purpose};

/// One request as the server saw it.
struct Seen {
    head: String,
    body: Value,
}

/// A server that answers the n-th request with the n-th of `answers` (the last one again and again), verbatim, and hangs up.
async fn server(answers: Vec<String>) -> (OpenAiSettings, Arc<Mutex<Vec<Seen>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let request = read(&mut stream).await;
            log.lock().unwrap().push(request);
            stream.write_all(answers[number.min(answers.len() - 1)].as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    let settings = OpenAiSettings {
        client: client(Duration::from_secs(10)),
        base_url: format!("http://{address}/v1/").parse().unwrap(),
        api_key: Some(ApiKey::new("key-7".into())),
        model: "some-model".into(),
        dimensions: 2,
        request_dimensions: false,
        concurrency: 1,
        max_tokens: 512,
        batch: 2,
        query_prefix: "query: ".into(),
        passage_prefix: String::new(),
        tokenizer_file: None,
    };
    (settings, seen)
}

#[expect(clippy::disallowed_methods, reason = "the builder of clients is in a crate above this one")]
fn client(timeout: Duration) -> Client {
    // With `rustls-no-provider`, reqwest takes the process's provider; the second test finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(Policy::none()).timeout(timeout).build().unwrap()
}

async fn read(stream: &mut BufReader<TcpStream>) -> Seen {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(stream.read_line(&mut head).await.unwrap(), 0);
    }
    head.make_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    Seen { head, body: serde_json::from_slice(&body).unwrap() }
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn vectors(items: &[(usize, &[f32])]) -> String {
    let data: Vec<_> = items.iter().map(|(index, vector)| json!({ "index": index, "embedding": vector })).collect();
    http("200 OK", "", &json!({ "object": "list", "data": data }).to_string())
}

async fn embed(settings: OpenAiSettings, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
    let embedder = Embedder::open(&EmbedSettings { provider: Provider::OpenAi(settings) }).await.unwrap();
    embedder.embed(Purpose::Passage, texts.iter().map(ToString::to_string).collect()).await
}

#[tokio::test]
async fn texts_go_out_in_batches_and_come_back_in_order_at_length_one() {
    let (settings, seen) =
        server(vec![vectors(&[(1, &[0.0, 2.0]), (0, &[3.0, 4.0])]), vectors(&[(0, &[5.0, 0.0])])]).await;
    let answer = embed(settings, &["a", "b", "c"]).await.unwrap();
    assert_eq!(answer, [[0.6, 0.8], [0.0, 1.0], [1.0, 0.0]]);
    let seen = seen.lock().unwrap();
    assert!(seen[0].head.starts_with("post /v1/embeddings http/1.1\r\n"), "{}", seen[0].head);
    assert!(seen[0].head.contains("\r\nauthorization: bearer key-7\r\n"));
    assert_eq!(seen[0].body, json!({ "model": "some-model", "input": ["a", "b"], "encoding_format": "float" }));
    assert_eq!(seen[1].body["input"], json!(["c"]));
}

#[tokio::test]
async fn the_prefix_is_sent_and_dimensions_are_asked_for_when_set() {
    let (mut settings, seen) = server(vec![vectors(&[(0, &[1.0, 0.0])])]).await;
    settings.request_dimensions = true;
    let embedder = Embedder::open(&EmbedSettings { provider: Provider::OpenAi(settings) }).await.unwrap();
    embedder.embed(Purpose::Query, vec!["wind".into()]).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].body["input"], json!(["query: wind"]));
    assert_eq!(seen[0].body["dimensions"], 2);
}

#[tokio::test]
async fn a_busy_server_says_when_to_come_back() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let (settings, _) = server(vec![http(status, "retry-after: 7\r\n", "slow down")]).await;
        assert_eq!(embed(settings, &["a"]).await, Err(EmbedError::Busy { retry_after: Duration::from_secs(7) }));
    }
}

#[tokio::test]
async fn a_failing_server_may_be_asked_again() {
    let (settings, _) = server(vec![http("500 Internal Server Error", "", "oops")]).await;
    let error = embed(settings, &["a"]).await.unwrap_err();
    assert_eq!(error, EmbedError::Unavailable("500 Internal Server Error: oops".into()));
}

#[tokio::test]
async fn a_refusal_and_a_redirect_are_final() {
    for status in ["401 Unauthorized", "307 Temporary Redirect"] {
        let (settings, seen) = server(vec![http(status, "location: /elsewhere\r\n", "")]).await;
        assert_eq!(embed(settings, &["a"]).await, Err(EmbedError::Rejected(status.into())));
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn vectors_of_another_length_are_a_wrong_setting() {
    let (settings, _) = server(vec![vectors(&[(0, &[1.0, 2.0, 3.0])])]).await;
    assert!(matches!(embed(settings, &["a"]).await, Err(EmbedError::Rejected(said)) if said.contains("3 dimensions")));
}

#[tokio::test]
async fn too_few_vectors_are_no_answer() {
    let (settings, _) = server(vec![vectors(&[(0, &[1.0, 2.0])])]).await;
    assert!(matches!(embed(settings, &["a", "b"]).await, Err(EmbedError::Unavailable(_))));
}

#[tokio::test]
async fn a_connection_cut_in_the_answer_may_be_tried_again() {
    let whole = vectors(&[(0, &[1.0, 2.0])]);
    let (settings, _) = server(vec![whole[..whole.len() - 10].to_owned()]).await;
    assert!(matches!(embed(settings, &["a"]).await, Err(EmbedError::Unavailable(_))));
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_longer_than_set() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut settings, _) = server(vec![String::new()]).await;
    settings.base_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    settings.client = client(Duration::from_millis(50));
    let error = embed(settings, &["a"]).await.unwrap_err();
    assert_eq!(error, EmbedError::Unavailable("the server did not answer in time".into()));
}

#[tokio::test]
async fn an_unreachable_server_may_be_tried_again() {
    let (mut settings, _) = server(vec![String::new()]).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    settings.base_url = format!("http://{closed}").parse().unwrap();
    assert_eq!(embed(settings, &["a"]).await, Err(EmbedError::Unavailable("no connection to the server".into())));
}
