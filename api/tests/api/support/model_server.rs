//! A server of models on a socket, which answers as a test says: chat completions of OpenAI, if it says nothing.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use super::http_request::ReceivedRequest;

/// A request that the server received.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// The request line and the headers, in lower case.
    pub head: String,
    pub body: Value,
}

impl ModelRequest {
    /// The text of the last message.
    pub fn prompt(&self) -> String {
        let messages = self.body["messages"].as_array().cloned().unwrap_or_default();
        let content = messages.last().map(|message| message["content"].clone()).unwrap_or_default();
        content.as_str().map_or_else(|| content[0]["text"].as_str().unwrap_or_default().to_owned(), str::to_owned)
    }
}

impl From<ReceivedRequest> for ModelRequest {
    fn from(request: ReceivedRequest) -> Self {
        let body = serde_json::from_slice(&request.body).unwrap_or_default();
        Self { head: request.head.to_ascii_lowercase(), body }
    }
}

/// How a request is answered: status, headers and body, as they go over the socket.
type Respond = Box<dyn FnMut(&ModelRequest) -> String + Send>;

/// Requests that wait for their answers.
#[derive(Default)]
struct Held {
    /// Where new requests wait.
    release: Mutex<Option<CancellationToken>>,
    /// Those whose client has closed the connection.
    abandoned: AtomicUsize,
}

impl Held {
    /// Waits until the request may be answered. `false`: its client did not wait so long.
    async fn wait(&self, stream: &mut BufReader<TcpStream>) -> bool {
        let release = self.release.lock().unwrap().clone();
        let Some(release) = release else { return true };
        tokio::select! {
            () = release.cancelled() => true,
            // A client that waits sends nothing.
            _ = stream.read_u8() => {
                self.abandoned.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }
}

pub struct ModelServer {
    pub base_url: String,
    held: Arc<Held>,
    received: Arc<Mutex<Vec<ModelRequest>>>,
    respond: Arc<Mutex<Respond>>,
    time_to_answer: Arc<Mutex<Duration>>,
}

impl ModelServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let received: Arc<Mutex<Vec<ModelRequest>>> = Arc::default();
        let respond: Arc<Mutex<Respond>> = Arc::new(Mutex::new(Box::new(|_| completion("{}"))));
        let time_to_answer: Arc<Mutex<Duration>> = Arc::default();
        let (log, responder, time) = (Arc::clone(&received), Arc::clone(&respond), Arc::clone(&time_to_answer));
        let held: Arc<Held> = Arc::default();
        let waiting = Arc::clone(&held);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, responder, waiting) = (Arc::clone(&log), Arc::clone(&responder), Arc::clone(&waiting));
                let time = *time.lock().unwrap();
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let Some(request) = ReceivedRequest::read(&mut stream).await.map(ModelRequest::from) else {
                        return;
                    };
                    log.lock().unwrap().push(request.clone());
                    if !waiting.wait(&mut stream).await {
                        return;
                    }
                    tokio::time::sleep(time).await;
                    let response = responder.lock().unwrap()(&request);
                    let _ = stream.write_all(response.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { base_url, held, received, respond, time_to_answer }
    }

    pub fn requests(&self) -> Vec<ModelRequest> {
        self.received.lock().unwrap().clone()
    }

    /// Answers every request from here on with what `respond` gives.
    pub fn respond(&self, respond: impl FnMut(&ModelRequest) -> String + Send + 'static) {
        *self.respond.lock().unwrap() = Box::new(respond);
    }

    /// Answers every request from here on with this JSON.
    pub fn answer(&self, answer: Value) {
        self.respond(move |_| completion(&answer.to_string()));
    }

    /// Takes this time for every answer from here on.
    pub fn answer_after(&self, time: Duration) {
        *self.time_to_answer.lock().unwrap() = time;
    }

    /// Answers no request from here on, until [`ModelServer::release`].
    pub fn hold(&self) {
        *self.held.release.lock().unwrap() = Some(CancellationToken::new());
    }

    /// Answers the requests that wait, and all others.
    pub fn release(&self) {
        if let Some(release) = self.held.release.lock().unwrap().take() {
            release.cancel();
        }
    }

    /// The number of requests whose client has closed the connection before they were answered.
    pub fn abandoned(&self) -> usize {
        self.held.abandoned.load(Ordering::Relaxed)
    }

    /// Answers every request from here on with an error.
    pub fn fail(&self, status: u16, message: &str) {
        let body = json!({ "error": { "message": message } }).to_string();
        self.respond(move |_| http(&status.to_string(), "", &body));
    }
}

/// An answer of the model, of ten tokens to a question of a hundred.
pub fn completion(content: &str) -> String {
    let body = json!({
        "choices": [{ "message": { "role": "assistant", "content": content }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 10 },
    });
    http("200", "content-type: application/json\r\n", &body.to_string())
}

pub fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} S\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}
