//! A server that speaks OpenAI's chat completions, in a process of its own: the CPU time of the worker does not contain that of the
//! server.

use std::{
    convert::Infallible,
    io::Read,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use nvisy_shared::outbound;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

/// The argument with which this program is the server.
pub(crate) const ARGUMENT: &str = "serve-model";

/// The path of chat completions.
const COMPLETIONS: &str = "/v1/chat/completions";
/// Where the content of all further completions is set.
const CONTENT: &str = "/content";
/// Where the last request of a completion is read.
const LAST: &str = "/last";

/// The content of completions, and the last request of one.
#[derive(Default)]
struct State {
    content: String,
    last: Bytes,
}

/// Is the server, until the process that started it ends.
pub(crate) async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let state: Arc<Mutex<State>> = Arc::default();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(Arc::clone(&state), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut state = state.lock().unwrap();
    let body = match path.as_str() {
        COMPLETIONS => {
            state.last = body;
            completion(&state.content)
        }
        CONTENT => {
            state.content = String::from_utf8(body.to_vec()).unwrap();
            Bytes::new()
        }
        LAST => state.last.clone(),
        path => panic!("the server has no path {path}"),
    };
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(Full::new(body)).unwrap())
}

fn completion(content: &str) -> Bytes {
    let completion = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": content }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 900, "completion_tokens": 20, "total_tokens": 920 },
    });
    completion.to_string().into()
}

/// The server, as its client sees it.
pub(crate) struct ModelServer {
    _process: Child,
    client: reqwest::Client,
    address: String,
}

impl ModelServer {
    pub(crate) async fn start() -> Self {
        let program = std::env::current_exe().unwrap();
        let mut process = Command::new(program)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.next_line().await.unwrap().expect("the address of the server");
        Self { _process: process, client: outbound::client(Duration::from_secs(60), None).unwrap(), address }
    }

    /// The base URL, as settings of a connection have it.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Sets the content of all further completions.
    pub(crate) async fn set_content(&self, content: &Value) {
        let request = self.client.post(format!("http://{}{CONTENT}", self.address)).body(content.to_string());
        request.send().await.unwrap().error_for_status().unwrap();
    }

    /// The last request of a completion.
    pub(crate) async fn last(&self) -> Value {
        let request = self.client.get(format!("http://{}{LAST}", self.address));
        request.send().await.unwrap().json().await.unwrap()
    }

    /// A completion by the bare client.
    pub(crate) async fn complete(&self, request: &Value) -> Value {
        let request = self.client.post(format!("http://{}{COMPLETIONS}", self.address)).json(request);
        request.send().await.unwrap().json().await.unwrap()
    }
}
