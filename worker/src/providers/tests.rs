//! The five protocols against a server on a socket, and its faults.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use nvisy_shared::{
    config::OutboundConfig,
    domain::connection::{
        self,
        model::{ModelCredentials, ModelProvider, ModelSettings},
    },
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::*;

/// A request that the server received.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) head: String,
    pub(super) body: Value,
}

/// A server that answers the n-th request with the n-th response, and repeats the last one.
pub(super) struct Server {
    pub(super) base_url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    pub(super) async fn start(responses: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        tokio::spawn(async move {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let mut stream = BufReader::new(stream);
                let request = read(&mut stream).await;
                log.lock().unwrap().push(request);
                let _ = stream.write_all(responses[number.min(responses.len() - 1)].as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { base_url, received }
    }

    pub(super) fn requests(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Received {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.unwrap_or(0) > 0 {}
    let lower = head.to_ascii_lowercase();
    let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.unwrap();
    Received { head: lower, body: serde_json::from_slice(&body).unwrap_or_default() }
}

pub(super) fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

pub(super) fn ok(body: &Value) -> String {
    http("200 OK", "content-type: application/json\r\n", &body.to_string())
}

fn client(provider: ModelProvider, base_url: &str, changes: Value) -> ModelClient {
    let mut settings = json!({ "model": "m-1", "baseUrl": base_url, "maxOutputTokens": 100, "temperature": 0.5 });
    settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let settings: ModelSettings = connection::read(&settings).unwrap();
    ModelClient::new(outbound(), provider, settings, Some(credentials()))
}

pub(super) fn credentials() -> ModelCredentials {
    connection::read(&json!({ "apiKey": "key-7" })).unwrap()
}

/// A client that may call this machine.
pub(super) fn outbound() -> GuardedClient {
    let outbound = OutboundConfig {
        allowed_networks: "127.0.0.0/8".parse().unwrap(),
        response_bytes: 1_000_000,
        timeout_seconds: 5,
        local_folders: Default::default(),
        writable_folders: Default::default(),
        proxy_url: None,
        no_proxy: Default::default(),
    };
    GuardedClient::new(&outbound).unwrap()
}

fn question() -> Question {
    Question {
        system: "Task".to_owned(),
        turns: vec![Turn::user("What?"), Turn::model("No"), Turn::user("Again")],
        image: Some(Image { media_type: "image/png".to_owned(), base64: "AAAA".to_owned() }),
        schema: Some(json!({ "type": "object" })),
        max_tokens: 50,
    }
}

fn answer(input_tokens: u64, output_tokens: u64) -> Completion {
    Completion { text: "{\"a\":1}".to_owned(), input_tokens, output_tokens, is_cut: false }
}

#[tokio::test]
async fn openai_protocol_is_spoken() {
    let body = json!({ "choices": [{ "message": { "content": "{\"a\":1}" }, "finish_reason": "stop" }],
                       "usage": { "prompt_tokens": 7, "completion_tokens": 3 } });
    let server = Server::start(vec![ok(&body)]).await;
    let url = format!("{}/v1/", server.base_url);
    let found = client(ModelProvider::OpenAi, &url, json!({})).ask(&question()).await.unwrap();
    assert_eq!(found, answer(7, 3));
    let request = &server.requests()[0];
    assert!(request.head.starts_with("post /v1/chat/completions http/1.1\r\n"), "{}", request.head);
    assert!(request.head.contains("authorization: bearer key-7"));
    assert_eq!(request.body["messages"][0], json!({ "role": "system", "content": "Task" }));
    assert_eq!(request.body["messages"][1]["content"][1]["image_url"]["url"], "data:image/png;base64,AAAA");
    assert_eq!(request.body["messages"][2], json!({ "role": "assistant", "content": "No" }));
    assert_eq!(request.body["response_format"], json!({ "type": "json_object" }));
    assert_eq!((&request.body["max_tokens"], &request.body["temperature"]), (&json!(50), &json!(0.5)));
}

#[tokio::test]
async fn anthropic_protocol_is_spoken() {
    let body = json!({ "content": [{ "type": "text", "text": "{\"a\":" }, { "type": "text", "text": "1}" }],
                       "stop_reason": "end_turn", "usage": { "input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 4 } });
    let server = Server::start(vec![ok(&body)]).await;
    let found = client(ModelProvider::Anthropic, &server.base_url, json!({})).ask(&question()).await.unwrap();
    assert_eq!(found, answer(9, 2));
    let request = &server.requests()[0];
    assert!(request.head.starts_with("post /v1/messages http/1.1\r\n"));
    assert!(request.head.contains("x-api-key: key-7") && request.head.contains("anthropic-version: 2023-06-01"));
    assert_eq!(request.body["system"], "Task");
    assert_eq!(request.body["messages"][0]["content"][0]["source"]["data"], "AAAA");
    assert_eq!(request.body["max_tokens"], 50);
}

#[tokio::test]
async fn gemini_protocol_is_spoken() {
    let body = json!({ "candidates": [{ "content": { "parts": [{ "text": "{\"a\":1}" }] }, "finishReason": "STOP" }],
                       "usageMetadata": { "promptTokenCount": 8, "candidatesTokenCount": 2, "thoughtsTokenCount": 3 } });
    let server = Server::start(vec![ok(&body)]).await;
    let settings = json!({ "jsonMode": "schema" });
    let found = client(ModelProvider::Gemini, &server.base_url, settings).ask(&question()).await.unwrap();
    assert_eq!(found, answer(8, 5));
    let request = &server.requests()[0];
    assert!(request.head.starts_with("post /v1beta/models/m-1:generatecontent http/1.1\r\n"), "{}", request.head);
    assert!(request.head.contains("x-goog-api-key: key-7"));
    assert_eq!(request.body["contents"][1]["role"], "model");
    assert_eq!(request.body["generationConfig"]["responseJsonSchema"], json!({ "type": "object" }));
}

#[tokio::test]
async fn cohere_protocol_is_spoken() {
    let body = json!({ "message": { "content": [{ "type": "text", "text": "{\"a\":1}" }] }, "finish_reason": "COMPLETE",
                       "usage": { "tokens": { "input_tokens": 6, "output_tokens": 4 } } });
    let server = Server::start(vec![ok(&body)]).await;
    let found = client(ModelProvider::Cohere, &server.base_url, json!({})).ask(&question()).await.unwrap();
    assert_eq!(found, answer(6, 4));
    let request = &server.requests()[0];
    assert!(request.head.starts_with("post /v2/chat http/1.1\r\n") && request.head.contains("bearer key-7"));
    assert_eq!(request.body["response_format"], json!({ "type": "json_object" }));
}

#[tokio::test]
async fn ollama_protocol_is_spoken() {
    let body = json!({ "message": { "role": "assistant", "content": "{\"a\":1}" }, "done_reason": "length",
                       "prompt_eval_count": 11, "eval_count": 12 });
    let server = Server::start(vec![ok(&body)]).await;
    let found = client(ModelProvider::Ollama, &server.base_url, json!({})).ask(&question()).await.unwrap();
    assert_eq!(found, Completion { is_cut: true, ..answer(11, 12) });
    let request = &server.requests()[0];
    assert!(request.head.starts_with("post /api/chat http/1.1\r\n"));
    assert_eq!(request.body["messages"][1]["images"], json!(["AAAA"]));
    assert_eq!((&request.body["format"], &request.body["stream"]), (&json!("json"), &json!(false)));
    assert_eq!(request.body["options"]["num_ctx"], 32_000);
}

#[tokio::test]
async fn server_without_json_mode_is_asked_without_it() {
    let rejected = http("400 Bad Request", "", r#"{"error":{"message":"unknown field response_format"}}"#);
    let body = json!({ "choices": [{ "message": { "content": "{\"a\":1}" } }] });
    let server = Server::start(vec![rejected, ok(&body)]).await;
    let found = client(ModelProvider::OpenAi, &server.base_url, json!({})).ask(&question()).await.unwrap();
    assert_eq!(found, answer(0, 0));
    assert_eq!(server.requests()[1].body.get("response_format"), None);
}

#[tokio::test]
async fn faults_of_servers_have_a_type() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"choices\": [".to_owned();
    let cases: Vec<(String, &str)> = vec![
        (http("200 OK", "content-type: text/html\r\n", "<html>Welcome</html>"), "invalid"),
        (http("200 OK", "", "{\"choices\": [{"), "invalid"),
        (http("200 OK", "", ""), "invalid"),
        (ok(&json!({ "choices": [] })), "invalid"),
        (ok(&json!([])), "invalid"),
        (half, "invalid"),
        (ok(&json!({ "choices": [{ "message": { "refusal": "I cannot" } }] })), "refused"),
        (ok(&json!({ "choices": [{ "message": {}, "finish_reason": "content_filter" }] })), "refused"),
        (http("429 Too Many Requests", "", "{}"), "busy"),
        (http("503 Service Unavailable", "retry-after: 3\r\n", ""), "busy"),
        (http("500 Internal Server Error", "", "oops"), "unavailable"),
        (http("401 Unauthorized", "", "{}"), "blocked"),
        (http("404 Not Found", "", r#"{"error":{"message":"no such model"}}"#), "blocked"),
        (http("302 Found", "location: http://169.254.169.254/\r\n", ""), "blocked"),
        (http("400 Bad Request", "", r#"{"error":{"code":"context_length_exceeded","message":"x"}}"#), "too_long"),
        (http("400 Bad Request", "", r#"{"error":{"message":"no"}}"#), "rejected"),
        (http("200 OK", "", &"x".repeat(1_000_001)), "invalid"),
    ];
    for (response, name) in cases {
        let server = Server::start(vec![response.clone()]).await;
        let failure = client(ModelProvider::OpenAi, &server.base_url, json!({})).ask(&question()).await.unwrap_err();
        let shown: String = response.chars().take(100).collect();
        assert_eq!(failure.name(), name, "{shown}: {failure}");
        assert_eq!(server.requests().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn busy_provider_names_its_wait_and_hides_the_key() {
    let body = r#"{"error":{"message":"key key-7 is busy"}}"#;
    let server = Server::start(vec![http("429 Too Many Requests", "retry-after: 7\r\n", body)]).await;
    let failure = client(ModelProvider::Anthropic, &server.base_url, json!({})).ask(&question()).await.unwrap_err();
    let reason = "429 Too Many Requests: key [hidden] is busy".to_owned();
    assert_eq!(failure, ModelFailure::Busy { retry_after: Some(Duration::from_secs(7)), reason });
}

#[tokio::test]
async fn silent_and_absent_servers_are_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let silent = client(ModelProvider::OpenAi, &url, json!({ "timeoutSeconds": 1 })).ask(&question()).await;
    assert_eq!(silent.unwrap_err().name(), "unavailable");
    drop(listener);
    let absent = client(ModelProvider::OpenAi, &url, json!({})).ask(&question()).await;
    assert_eq!(absent.unwrap_err().name(), "unavailable");
}
