//! The recall of sampled searches as a metric.

use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::support::{ReceivedRequest, Searched, TestFile, send, start_second_api, wait_until};

/// Receives metrics.
struct Collector {
    endpoint: String,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let received = Arc::clone(&bodies);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let received = Arc::clone(&received);
                tokio::spawn(async move {
                    if let Some(body) = receive(stream).await {
                        received.lock().unwrap().push(body);
                    }
                });
            }
        });
        Self { endpoint, bodies }
    }

    /// Whether a request has all of these texts, which stand in it as they are.
    fn has(&self, texts: &[&str]) -> bool {
        let contains = |body: &[u8], text: &str| body.windows(text.len()).any(|part| part == text.as_bytes());
        self.bodies.lock().unwrap().iter().any(|body| texts.iter().all(|text| contains(body, text)))
    }
}

async fn receive(stream: TcpStream) -> Option<Vec<u8>> {
    let mut stream = BufReader::new(stream);
    let ReceivedRequest { body, .. } = ReceivedRequest::read(&mut stream).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.ok()?;
    Some(body)
}

#[actix_web::test]
async fn recall_of_sampled_searches_is_exported_by_the_selectivity_of_their_filters() {
    let names: Vec<String> = (0..20).map(|n| format!("{n}.txt")).collect();
    let files: Vec<TestFile<'_>> =
        names.iter().map(|name| TestFile::new(name, "The turbine turns with the tide.")).collect();
    let searched = Searched::new(&files).await;
    let collector = Collector::start().await;
    let settings = [
        ("NVISY_EMBEDDING_PROVIDER", "local"),
        ("NVISY_SEARCH_RECALL_SAMPLE", "1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
    ];
    let (api, url) = start_second_api(&searched.app, &settings).await;
    let search = async |filter: Value| {
        let request = searched.app.request_to(&url, Method::POST, &searched.path("search"));
        let body = json!({ "query": "tide", "filter": filter });
        send(request.bearer_auth(&searched.ada.token).json(&body)).await.expect(200);
    };
    let one = json!({ "field": "name", "op": "eq", "value": names[7] });
    for (filter, bucket) in [(json!({ "and": [] }), "100%"), (one, "10%")] {
        wait_until(&format!("the recall of the bucket {bucket}"), async || {
            // Another search, because a sampler that is busy drops one.
            search(filter.clone()).await;
            collector.has(&["nvisy.search.recall", "search.selectivity", bucket]).then_some(())
        })
        .await;
    }
    drop(api);
    searched.app.stop().await;
}
