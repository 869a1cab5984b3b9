//! The client against a real HTTP server with scripted responses.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Proxy, redirect::Policy};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::{ApiKey, DimensionsError, EmbedError, EmbedSettings, Embedder, InputType, OpenAiSettings, Provider};

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
        request_encoding: true,
        query_prefix: "query: ".into(),
        passage_prefix: String::new(),
        tokenizer_file: None,
    };
    (settings, received)
}

/// An embedder of whole vectors.
async fn open(settings: OpenAiSettings) -> Embedder {
    let settings = EmbedSettings { provider: Provider::OpenAi(settings), truncatable: false, dimensions: None };
    Embedder::open(&settings).await.unwrap()
}

fn client(timeout: Duration) -> Client {
    client_builder(timeout).build().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "nvisy_shared::outbound, which builds clients, depends on this crate")]
fn client_builder(timeout: Duration) -> ClientBuilder {
    // Under `rustls-no-provider`, reqwest uses the provider of the process. The call fails if another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(Policy::none()).timeout(timeout)
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
    let embedder = open(settings).await;
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
    let embedder = open(settings).await;
    embedder.embed(InputType::Query, vec!["wind".into()]).await.unwrap();
    let received = received.lock().unwrap();
    assert_eq!(received[0].body["input"], json!(["query: wind"]));
    assert_eq!(received[0].body["dimensions"], 2);
}

#[tokio::test]
async fn vectors_are_cut_by_the_server_if_it_can_and_here_otherwise() {
    for requested in [false, true] {
        let vector: &[f32] = if requested { &[0.6, 0.8] } else { &[3.0, 4.0, 12.0] };
        let (mut settings, received) = server(vec![vectors(&[(0, vector)])]).await;
        (settings.dimensions, settings.request_dimensions) = (3, requested);
        let settings = EmbedSettings { provider: Provider::OpenAi(settings), truncatable: true, dimensions: None };
        let whole = Embedder::open(&settings).await.unwrap();
        let short = whole.with_dimensions(2).unwrap();
        assert_eq!((whole.space().dimensions, short.space().dimensions, short.model_dimensions()), (3, 2, 3));
        let vectors = short.embed(InputType::Passage, vec!["wind".into()]).await.unwrap();
        assert_eq!(vectors[0].len(), 2);
        assert!((vectors[0][0] - 0.6).abs() < 1e-6 && (vectors[0][1] - 0.8).abs() < 1e-6, "{vectors:?}");
        let dimensions = received.lock().unwrap()[0].body["dimensions"].clone();
        assert_eq!(dimensions, if requested { json!(2) } else { Value::Null });
        assert_eq!(short.with_dimensions(3).unwrap().space(), whole.space());
        assert_eq!(whole.with_dimensions(4).err(), Some(DimensionsError::OutOfRange { model: 3 }));
        assert_eq!(whole.with_dimensions(0).err(), Some(DimensionsError::OutOfRange { model: 3 }));
    }
}

#[tokio::test]
async fn vectors_of_a_model_that_is_not_truncatable_are_not_cut() {
    let (settings, _) = server(vec![String::new()]).await;
    let whole = open(settings.clone()).await;
    assert_eq!(whole.with_dimensions(1).err(), Some(DimensionsError::NotTruncatable { model: 2 }));
    let settings = EmbedSettings { provider: Provider::OpenAi(settings), truncatable: false, dimensions: Some(1) };
    let error = Embedder::open(&settings).await.err().unwrap().to_string();
    assert!(error.contains("the dimensions, 1, must be 2"), "{error}");
}

#[tokio::test]
async fn busy_response_gives_the_retry_after_time() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let (settings, _) = server(vec![http(status, "retry-after: 7\r\n", "slow down")]).await;
        let error = embed(settings, &["a"]).await.unwrap_err();
        let reason = format!("{status}: slow down");
        assert_eq!(error, EmbedError::Busy { retry_after: Duration::from_secs(7), reason });
    }
}

#[tokio::test]
async fn server_error_is_retryable() {
    let (settings, _) = server(vec![http("500 Internal Server Error", "", "oops")]).await;
    let error = embed(settings, &["a"]).await.unwrap_err();
    assert_eq!(error, EmbedError::Unavailable("500 Internal Server Error: oops".into()));
}

#[tokio::test]
async fn wrong_key_redirect_and_length_are_faults_of_the_settings() {
    for (status, reason) in [
        ("401 Unauthorized", "401 Unauthorized"),
        ("307 Temporary Redirect", "307 Temporary Redirect: redirects are not followed; correct the address"),
    ] {
        let (settings, received) = server(vec![http(status, "location: /elsewhere\r\n", "")]).await;
        assert_eq!(embed(settings, &["a"]).await, Err(EmbedError::Blocked(reason.into())));
        assert_eq!(received.lock().unwrap().len(), 1);
    }
    let (settings, _) = server(vec![vectors(&[(0, &[1.0, 2.0, 3.0])])]).await;
    assert!(matches!(embed(settings, &["a"]).await, Err(EmbedError::Blocked(said)) if said.contains("3 dimensions")));
    let (settings, _) = server(vec![http("403 Forbidden", "", r#"{"error":{"message":"no access for key-7"}}"#)]).await;
    assert_eq!(embed(settings, &["a"]).await, Err(EmbedError::Blocked("403 Forbidden: no access for [hidden]".into())));
}

/// A server that answers each request by its JSON body.
async fn answering(answer: impl Fn(&Value) -> String + Send + 'static) -> (OpenAiSettings, Arc<Mutex<Vec<Received>>>) {
    let (mut settings, received) = server(vec![String::new()]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    settings.base_url = format!("http://{}/v1/", listener.local_addr().unwrap()).parse().unwrap();
    let log = Arc::clone(&received);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let request = read(&mut stream).await;
            let response = answer(&request.body);
            log.lock().unwrap().push(request);
            stream.write_all(response.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (settings, received)
}

/// A vector for each input of a request.
fn vectors_for(body: &Value) -> String {
    let count = body["input"].as_array().unwrap().len();
    vectors(&(0..count).map(|index| (index, [1.0, 0.0].as_slice())).collect::<Vec<_>>())
}

fn rejected() -> String {
    http("400 Bad Request", "", r#"{"error":{"message":"no"}}"#)
}

#[tokio::test]
async fn rejected_encoding_format_is_left_out_from_then_on() {
    let (settings, received) =
        answering(|body| if body.get("encoding_format").is_some() { rejected() } else { vectors_for(body) }).await;
    let embedder = open(settings).await;
    for _ in 0..2 {
        assert_eq!(embedder.embed(InputType::Passage, vec!["a".into()]).await, Ok(vec![vec![1.0, 0.0]]));
    }
    assert_eq!(received.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn batch_is_halved_until_the_server_takes_it_and_the_size_is_remembered() {
    let (mut settings, received) =
        answering(|body| if body["input"].as_array().unwrap().len() > 10 { rejected() } else { vectors_for(body) })
            .await;
    settings.batch = 64;
    settings.request_encoding = false;
    let embedder = open(settings).await;
    let texts = vec!["a".to_owned(); 32];
    assert_eq!(embedder.embed(InputType::Passage, texts.clone()).await.unwrap().len(), 32);
    // 32, twice 16, four times 8.
    assert_eq!(received.lock().unwrap().len(), 7);
    assert_eq!(embedder.embed(InputType::Passage, texts).await.unwrap().len(), 32);
    assert_eq!(received.lock().unwrap().len(), 11);
}

#[tokio::test]
async fn rejected_text_costs_no_other_text_its_vector() {
    let has = |body: &Value, text: &str| body["input"].as_array().unwrap().iter().any(|input| input == text);
    let (mut settings, _) =
        answering(move |body| if has(body, "poison") { rejected() } else { vectors_for(body) }).await;
    settings.batch = 8;
    let embedder = open(settings).await;
    let texts = |poison: usize| (0..8).map(|place| if place == poison { "poison" } else { "a" }.to_owned()).collect();
    for poison in [0, 5, 7] {
        let vectors = embedder.embed_each(InputType::Passage, texts(poison)).await.unwrap();
        let rejected: Vec<_> = (0..8).filter(|place| vectors[*place].is_err()).collect();
        assert_eq!(rejected, [poison]);
        assert_eq!(vectors[poison], Err("400 Bad Request: no".to_owned()));
    }
    let alone = embedder.embed_each(InputType::Passage, vec!["poison".into()]).await.unwrap();
    assert_eq!(alone, [Err("400 Bad Request: no".to_owned())]);
    assert!(matches!(embedder.embed(InputType::Passage, texts(3)).await, Err(EmbedError::Rejected(_))));
}

#[tokio::test]
async fn server_that_rejects_everything_is_at_fault_itself() {
    let (settings, received) = answering(|_| rejected()).await;
    let embedder = open(settings).await;
    let error = embedder.embed_each(InputType::Passage, vec!["a".into(), "b".into()]).await.unwrap_err();
    assert_eq!(error, EmbedError::Rejected("400 Bad Request: no".into()));
    assert!(received.lock().unwrap().len() <= 6);
}

#[tokio::test]
async fn compressed_response_is_read() {
    use std::io::Write;

    let json = json!({ "data": [{ "index": 0, "embedding": [3.0, 4.0] }] }).to_string();
    for declared in ["content-encoding: gzip\r\n", ""] {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(json.as_bytes()).unwrap();
        let body = encoder.finish().unwrap();
        let head = format!("HTTP/1.1 200 OK\r\n{declared}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let (mut settings, _) = server(vec![String::new()]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        settings.base_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            read(&mut stream).await;
            stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        assert_eq!(embed(settings, &["a"]).await, Ok(vec![vec![0.6, 0.8]]));
    }
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

#[tokio::test]
async fn fault_of_a_proxy_is_named() {
    for (status, expected) in [
        (
            "407 Proxy Authentication Required",
            EmbedError::Blocked("the operator's proxy does not accept its credentials (407)".into()),
        ),
        ("403 Forbidden", EmbedError::Unavailable("the operator's proxy opens no connection to the server".into())),
    ] {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = proxy.local_addr().unwrap();
        let (mut settings, _) = server(vec![String::new()]).await;
        settings.base_url = "https://far.example/v1/".parse().unwrap();
        let through = Proxy::all(format!("http://{address}")).unwrap();
        settings.client = client_builder(Duration::from_secs(10)).proxy(through).build().unwrap();
        let refusing = tokio::spawn(async move {
            let (mut stream, _) = proxy.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
            stream.write_all(http(status, "", "").as_bytes()).await.unwrap();
        });
        assert_eq!(embed(settings, &["a"]).await, Err(expected), "{status}");
        refusing.await.unwrap();
    }
}
