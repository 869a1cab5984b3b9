//! An API of one test: free port, new database, new keys; all removed at the end.

use std::{fmt::Debug, net::SocketAddr, time::Duration};

use nvisy_api::{app::App, cli};
use nvisy_shared::{
    config::{Config, LogConfig, LogFormat},
    lifecycle::Lifecycle,
    store::{self, Db},
    telemetry,
    testing::TestDeployment,
};
use nvisy_worker::app::Worker;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::{task::JoinHandle, time::Instant};

use super::{TestAccount, TestResponse, openapi::Document, program, send};

/// The time within which a condition must become true.
const CONDITION_TIMEOUT: Duration = Duration::from_secs(120);

pub struct TestApp {
    pub address: SocketAddr,
    pub lifecycle: Lifecycle,
    /// Reads and changes rows without the API.
    pub db: Db,
    pub deployment: TestDeployment,
    client: reqwest::Client,
    config: Config,
    server: JoinHandle<()>,
    worker: Option<(Lifecycle, JoinHandle<bool>)>,
}

impl TestApp {
    /// Starts an API without a worker and a model: jobs wait.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_in(TestDeployment::new().await, settings).await
    }

    /// Starts an API and a worker in this process, with the local model.
    pub async fn start_with_worker(settings: &[(&str, &str)]) -> Self {
        let mut all = vec![("NVISY_EMBEDDING_PROVIDER", "local")];
        all.extend(settings);
        let mut app = Self::start_with(&all).await;
        app.start_worker().await;
        app
    }

    pub async fn start_in(deployment: TestDeployment, settings: &[(&str, &str)]) -> Self {
        cli::keys(deployment.keys().folder(), false).expect("new keys");
        let config = deployment.config(settings);
        // `NVISY_TEST_LOG=debug just test --no-capture NAME` shows the logs.
        if let Ok(filter) = std::env::var("NVISY_TEST_LOG") {
            let _ = telemetry::init("nvisy-test", &LogConfig { filter, format: LogFormat::Text });
        }
        let lifecycle = Lifecycle::new();
        let bound = App::build(config.clone(), lifecycle.clone()).await.expect("an API");
        let bound = bound.bind().expect("a free port");
        let address = bound.address();
        let server = tokio::spawn(async move { bound.run().await.expect("a server that stops when told") });
        let db = store::connect(&config.database).await.expect("a second pool");
        Self { address, lifecycle, db, deployment, client: Self::new_client(), config, server, worker: None }
    }

    pub async fn start_worker(&mut self) {
        let lifecycle = Lifecycle::new();
        let worker = Worker::build(self.config.clone(), program("nvisy-worker")).await.expect("a worker");
        self.worker = Some((lifecycle.clone(), tokio::spawn(worker.run(lifecycle))));
    }

    /// Stops everything and removes it from the servers; a job that is left fails the test. Tests call it last; a failed
    /// test keeps its database for inspection.
    pub async fn stop(self) {
        self.stop_then(async |_| {}).await;
    }

    /// As [`TestApp::stop`]; `check` runs when everything has stopped and before anything is removed.
    pub async fn stop_then(self, check: impl AsyncFnOnce(&TestDeployment)) {
        if let Some((lifecycle, worker)) = self.worker {
            lifecycle.soft().cancel();
            assert!(worker.await.expect("a worker that stops"), "the worker had to release jobs");
        }
        self.lifecycle.soft().cancel();
        self.server.await.expect("a clean stop");
        self.lifecycle.finish(Duration::from_secs(5)).await;
        self.db.close().await.expect("a closed pool");
        check(&self.deployment).await;
        self.deployment.close().await;
    }

    /// As [`TestApp::stop`], for tests that leave jobs on purpose.
    pub async fn stop_and_drop_jobs(self) {
        self.sql("delete from job").await;
        self.stop().await;
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// As [`TestApp::request`], to another API of the same deployment.
    pub fn request_to(&self, base: &str, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{base}{path}"))
    }

    #[expect(clippy::disallowed_methods, reason = "a test calls its own API")]
    pub fn client_builder() -> reqwest::ClientBuilder {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
    }

    /// A client without open connections.
    pub fn new_client() -> reqwest::Client {
        Self::client_builder().build().expect("a client")
    }

    pub async fn get(&self, caller: &TestAccount, path: &str) -> TestResponse {
        send(self.request(Method::GET, path).bearer_auth(&caller.token)).await
    }

    pub async fn post(&self, caller: &TestAccount, path: &str, body: &Value) -> TestResponse {
        send(self.request(Method::POST, path).bearer_auth(&caller.token).json(body)).await
    }

    pub async fn patch(&self, caller: &TestAccount, path: &str, body: &Value) -> TestResponse {
        self.patch_if(caller, path, body, None).await
    }

    /// With a header `If-Match`.
    pub async fn patch_if(&self, caller: &TestAccount, path: &str, body: &Value, tag: Option<&str>) -> TestResponse {
        self.change(Method::PATCH, caller, path, body, tag).await
    }

    pub async fn put(&self, caller: &TestAccount, path: &str, body: &Value) -> TestResponse {
        self.put_if(caller, path, body, None).await
    }

    /// With a header `If-Match`.
    pub async fn put_if(&self, caller: &TestAccount, path: &str, body: &Value, tag: Option<&str>) -> TestResponse {
        self.change(Method::PUT, caller, path, body, tag).await
    }

    async fn change(
        &self,
        method: Method,
        caller: &TestAccount,
        path: &str,
        body: &Value,
        tag: Option<&str>,
    ) -> TestResponse {
        let request = self.request(method, path).bearer_auth(&caller.token).json(body);
        send(tag.into_iter().fold(request, |request, tag| request.header("if-match", tag))).await
    }

    pub async fn delete(&self, caller: &TestAccount, path: &str) -> TestResponse {
        send(self.request(Method::DELETE, path).bearer_auth(&caller.token)).await
    }

    pub async fn openapi(&self) -> Document {
        Document::new(send(self.request(Method::GET, "/api/openapi.json")).await.expect(200))
    }
}

/// Polls until the value is the expected one; a failure shows how they differ.
pub async fn wait_until_equal<T, E>(condition: &str, expected: &E, mut poll: impl AsyncFnMut() -> T)
where
    T: PartialEq<E> + Debug,
    E: Debug,
{
    let deadline = Instant::now() + CONDITION_TIMEOUT;
    loop {
        let found = poll().await;
        if found == *expected {
            return;
        }
        if Instant::now() >= deadline {
            assert_eq!(found, *expected, "not within {CONDITION_TIMEOUT:?}: {condition}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Polls until there is a value.
pub async fn wait_until<T>(condition: &str, mut poll: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + CONDITION_TIMEOUT;
    loop {
        if let Some(value) = poll().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {CONDITION_TIMEOUT:?}: {condition}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
