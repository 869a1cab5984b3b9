//! A server of embedding models, and a second API and worker of a deployment that have another model of it than the first ones.

use std::net::SocketAddr;

use nvisy_api::app::App;
use nvisy_shared::lifecycle::Lifecycle;
use nvisy_worker::app::Worker;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{TestAccount, TestApp, TestResponse, program, send};

/// Starts an embedding server whose vectors have four components, computed from the bytes of a text.
pub async fn start_embedding_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve_embeddings(stream));
        }
    });
    format!("http://{address}/v1")
}

async fn serve_embeddings(stream: TcpStream) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.read_line(&mut head).await.ok().filter(|read| *read > 0)?;
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    let vector = |text: &Value| {
        let mut vector = [1.0_f32; 4];
        text.as_str().unwrap_or_default().bytes().for_each(|byte| vector[usize::from(byte % 4)] += 1.0);
        vector
    };
    let data = body["input"].as_array()?.iter().map(vector).enumerate();
    let data: Vec<_> = data.map(|(index, vector)| json!({ "index": index, "embedding": vector })).collect();
    let response = json!({ "object": "list", "data": data }).to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", response.len());
    stream.write_all(format!("{head}{response}").as_bytes()).await.ok()
}

/// The settings of a model of the server.
pub fn embedding_settings<'a>(url: &'a str, model: &'a str) -> [(&'a str, &'a str); 3] {
    [("NVISY_EMBEDDING_URL", url), ("NVISY_EMBEDDING_MODEL", model), ("NVISY_EMBEDDING_DIMENSIONS", "4")]
}

/// Another API and another worker of the same deployment with another model.
pub struct OtherModel {
    address: SocketAddr,
    lifecycle: Lifecycle,
    api: JoinHandle<()>,
    worker: JoinHandle<bool>,
}

impl OtherModel {
    pub async fn start(app: &TestApp, url: &str, model: &str) -> Self {
        let config = app.deployment.config(&embedding_settings(url, model));
        let lifecycle = Lifecycle::new();
        let bound = App::build(config.clone(), lifecycle.clone()).await.unwrap().bind().unwrap();
        let address = bound.address();
        let api = tokio::spawn(async move { bound.run().await.unwrap() });
        let worker = Worker::build(config, program("nvisy-worker")).await.unwrap();
        let worker = tokio::spawn(worker.run(lifecycle.clone()));
        Self { address, lifecycle, api, worker }
    }

    pub async fn request(
        &self,
        app: &TestApp,
        account: &TestAccount,
        method: Method,
        path: &str,
        body: &Value,
    ) -> TestResponse {
        let request = app.request_to(&format!("http://{}", self.address), method, path);
        send(request.bearer_auth(&account.token).json(body)).await
    }

    pub async fn stop(self) {
        self.lifecycle.soft().cancel();
        self.api.await.unwrap();
        self.worker.await.unwrap();
        self.lifecycle.finish(std::time::Duration::from_secs(5)).await;
    }
}
