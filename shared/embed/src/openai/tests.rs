//! The client against a real HTTP server with scripted responses.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, redirect::Policy};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::{ApiKey, EmbedError, EmbedSettings, Embedder, InputType, OpenAiSettings, Provider};

/// A request that the server received.
struct Received {
    head: String,
    body: Value,
}

/// A server that sends the n-th of `responses` (repeating the last one) to the n-th request, verbatim, and closes the connection.
async fn server(responses: Vec<String>) -> (OpenAiSettings, Arc<Mutex<Vec<Received>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&received);
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let request = read(&mut stream).await;
            log.lock().unwrap().push(request);
            stream.write_all(responses[number.min(responses.len() - 1)].as_bytes()).await.unwrap();
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
    (settings, received)
}

#[expect(clippy::disallowed_methods, reason = "nvisy_shared::outbound, which builds clients, depends on this crate")]
fn client(timeout: Duration) -> Client {
    // Under `rustls-no-provider`, reqwest uses the provider of the process. The call fails if another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(Policy::none()).timeout(timeout).build().unwrap()
}

async fn read(stream: &mut BufReader<TcpStream>) -> Received {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(stream.read_line(&mut head).await.unwrap(), 0);
    }
    head.make_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    Received { head, body: serde_json::from_slice(&body).unwrap() }
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
    embedder.embed(InputType::Passage, texts.iter().map(ToString::to_string).collect()).await
}

#[tokio::test]
async fn vectors_of_several_batches_are_in_order_and_of_length_one() {
    let (settings, received) =
        server(vec![vectors(&[(1, &[0.0, 2.0]), (0, &[3.0, 4.0])]), vectors(&[(0, &[5.0, 0.0])])]).await;
    let vectors = embed(settings, &["a", "b", "c"]).await.unwrap();
    assert_eq!(vectors, [[0.6, 0.8], [0.0, 1.0], [1.0, 0.0]]);
    let received = received.lock().unwrap();
    assert!(received[0].head.starts_with("post /v1/embeddings http/1.1\r\n"), "{}", received[0].head);
    assert!(received[0].head.contains("\r\nauthorization: bearer key-7\r\n"));
    assert_eq!(received[0].body, json!({ "model": "some-model", "input": ["a", "b"], "encoding_format": "float" }));
    assert_eq!(received[1].body["input"], json!(["c"]));
}

#[tokio::test]
async fn request_has_the_prefix_and_the_dimensions_if_set() {
    let (mut settings, received) = server(vec![vectors(&[(0, &[1.0, 0.0])])]).await;
    settings.request_dimensions = true;
    let embedder = Embedder::open(&EmbedSettings { provider: Provider::OpenAi(settings) }).await.unwrap();
    embedder.embed(InputType::Query, vec!["wind".into()]).await.unwrap();
    let received = received.lock().unwrap();
    assert_eq!(received[0].body["input"], json!(["query: wind"]));
    assert_eq!(received[0].body["dimensions"], 2);
}

#[tokio::test]
async fn busy_response_gives_the_retry_after_time() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let (settings, _) = server(vec![http(status, "retry-after: 7\r\n", "slow down")]).await;
        assert_eq!(embed(settings, &["a"]).await, Err(EmbedError::Busy { retry_after: Duration::from_secs(7) }));
    }
}

#[tokio::test]
async fn server_error_is_retryable() {
    let (settings, _) = server(vec![http("500 Internal Server Error", "", "oops")]).await;
    let error = embed(settings, &["a"]).await.unwrap_err();
    assert_eq!(error, EmbedError::Unavailable("500 Internal Server Error: oops".into()));
}

#[tokio::test]
async fn client_error_and_redirect_are_final() {
    for status in ["401 Unauthorized", "307 Temporary Redirect"] {
        let (settings, received) = server(vec![http(status, "location: /elsewhere\r\n", "")]).await;
        assert_eq!(embed(settings, &["a"]).await, Err(EmbedError::Rejected(status.into())));
        assert_eq!(received.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn vector_of_another_length_is_final() {
    let (settings, _) = server(vec![vectors(&[(0, &[1.0, 2.0, 3.0])])]).await;
    assert!(matches!(embed(settings, &["a"]).await, Err(EmbedError::Rejected(said)) if said.contains("3 dimensions")));
}

#[tokio::test]
async fn too_few_vectors_are_retryable() {
    let (settings, _) = server(vec![vectors(&[(0, &[1.0, 2.0])])]).await;
    assert!(matches!(embed(settings, &["a", "b"]).await, Err(EmbedError::Unavailable(_))));
}

#[tokio::test]
async fn connection_closed_in_the_response_is_retryable() {
    let whole = vectors(&[(0, &[1.0, 2.0])]);
    let (settings, _) = server(vec![whole[..whole.len() - 10].to_owned()]).await;
    assert!(matches!(embed(settings, &["a"]).await, Err(EmbedError::Unavailable(_))));
}

#[tokio::test]
async fn silent_server_ends_in_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut settings, _) = server(vec![String::new()]).await;
    settings.base_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    settings.client = client(Duration::from_millis(50));
    let error = embed(settings, &["a"]).await.unwrap_err();
    assert_eq!(error, EmbedError::Unavailable("the server did not respond in time".into()));
}

#[tokio::test]
async fn unreachable_server_is_retryable() {
    let (mut settings, _) = server(vec![String::new()]).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    settings.base_url = format!("http://{closed}").parse().unwrap();
    assert_eq!(embed(settings, &["a"]).await, Err(EmbedError::Unavailable("no connection to the server".into())));
}
