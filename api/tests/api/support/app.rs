//! An API of a test's own: free port, fresh database, throwaway keys; all gone at the end.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use nvisy_api::{app::App, command};
use nvisy_shared::{
    config::{Config, LogConfig, LogFormat},
    lifecycle::Lifecycle,
    store::{self, Conn, Db},
    telemetry,
    testing::TestPlace,
};
use nvisy_worker::app::Worker;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};

/// How long a condition may take to come true before the test fails.
const PATIENCE: Duration = Duration::from_secs(120);

pub const PASSWORD: &str = "seven otters juggle";

pub struct TestApp {
    pub address: SocketAddr,
    pub lifecycle: Lifecycle,
    /// To look behind the API.
    pub db: Db,
    pub place: TestPlace,
    client: reqwest::Client,
    config: Config,
    server: JoinHandle<()>,
    worker: Option<(Lifecycle, JoinHandle<bool>)>,
}

/// Somebody who has signed up and logged in.
#[derive(Clone)]
pub struct Person {
    pub id: String,
    pub email: String,
    pub token: String,
    /// The refresh token of the same session.
    pub refresh: String,
}

/// A response that has been read.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl TestApp {
    /// An API alone, without a model: what it accepts waits.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings of its own.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_at(TestPlace::new().await, settings).await
    }

    /// With a worker in this process, and the local model.
    pub async fn start_whole(settings: &[(&str, &str)]) -> Self {
        let mut all = vec![("NVISY_EMBEDDING_PROVIDER", "local")];
        all.extend(settings);
        let mut app = Self::start_with(&all).await;
        app.start_worker().await;
        app
    }

    pub async fn start_at(place: TestPlace, settings: &[(&str, &str)]) -> Self {
        command::keys(place.keys().folder(), false).expect("fresh keys");
        let config = place.config(settings);
        // `NVISY_TEST_LOG=debug just test NAME -- --nocapture` shows what happens inside.
        if let Ok(filter) = std::env::var("NVISY_TEST_LOG") {
            let _ = telemetry::init("nvisy-test", &LogConfig { filter, format: LogFormat::Text });
        }
        let lifecycle = Lifecycle::new();
        let bound = App::build(config.clone(), lifecycle.clone()).await.expect("a started API");
        let bound = bound.bind().expect("a free port");
        let address = bound.address();
        let server = tokio::spawn(async move { bound.run().await.expect("a server that stops when told") });
        let db = store::connect(&config.database).await.expect("a second pool");
        Self { address, lifecycle, db, place, client: client(), config, server, worker: None }
    }

    pub async fn start_worker(&mut self) {
        let lifecycle = Lifecycle::new();
        let worker = Worker::build(self.config.clone(), program("nvisy-worker")).await.expect("a started worker");
        self.worker = Some((lifecycle.clone(), tokio::spawn(worker.run(lifecycle))));
    }

    /// Stops everything and removes it from the servers; jobs that are left fail the test. Tests call it last; a test
    /// that failed leaves its database for a look.
    pub async fn stop(self) {
        self.stop_before(async |_| {}).await;
    }

    /// As [`TestApp::stop`]; `last` is done when everything has stopped and nothing is removed yet.
    pub async fn stop_before(self, last: impl AsyncFnOnce(&TestPlace)) {
        if let Some((lifecycle, worker)) = self.worker {
            lifecycle.soft().cancel();
            assert!(worker.await.expect("a worker that stops"), "the worker had to hand jobs back");
        }
        self.lifecycle.soft().cancel();
        self.server.await.expect("a clean stop");
        self.lifecycle.finish(Duration::from_secs(5)).await;
        self.db.close().await.expect("a closed pool");
        last(&self.place).await;
        self.place.close().await;
    }

    /// As [`TestApp::stop`], for tests that leave uploads waiting on purpose.
    pub async fn stop_with_jobs(self) {
        self.sql("delete from job").await;
        self.stop().await;
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// A client with settings of its own.
    #[expect(clippy::disallowed_methods, reason = "a test talks to its own API")]
    pub fn builder() -> reqwest::ClientBuilder {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
    }

    /// A client that has no connection open yet.
    pub fn stranger() -> reqwest::Client {
        client()
    }

    /// As [`TestApp::request`], of another API of the same place.
    pub fn request_to(&self, base: &str, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{base}{path}"))
    }

    pub async fn get(&self, person: &Person, path: &str) -> Answer {
        send(self.request(Method::GET, path).bearer_auth(&person.token)).await
    }

    pub async fn post(&self, person: &Person, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).bearer_auth(&person.token).json(body)).await
    }

    pub async fn delete(&self, person: &Person, path: &str) -> Answer {
        send(self.request(Method::DELETE, path).bearer_auth(&person.token)).await
    }

    /// Somebody new.
    pub async fn person(&self, name: &str) -> Person {
        let email = format!("{name}@example.org");
        let body = json!({ "email": email, "password": PASSWORD, "displayName": name });
        let account = send(self.request(Method::POST, "/api/v1/auth/sign-up").json(&body)).await.expect(201);
        let id = account["id"].as_str().expect("an id").to_owned();
        self.again(&Person { id, email, token: String::new(), refresh: String::new() }).await
    }

    /// The same person in another session.
    pub async fn again(&self, person: &Person) -> Person {
        let tokens = self.login(&person.email, PASSWORD).await.expect(200);
        let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
        Person { token: token("accessToken"), refresh: token("refreshToken"), ..person.clone() }
    }

    pub async fn login(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        send(self.request(Method::POST, "/api/v1/auth/login").json(&body)).await
    }

    /// A new workspace of this person's; its id.
    pub async fn workspace(&self, owner: &Person, name: &str) -> String {
        let workspace = self.post(owner, "/api/v1/workspaces", &json!({ "name": name })).await.expect(201);
        workspace["id"].as_str().expect("an id").to_owned()
    }

    /// A program that acts for this person with these permissions everywhere; and its token's id.
    pub async fn program(&self, owner: &Person, permissions: &[&str]) -> (Person, String) {
        let expires_at = nvisy_shared::clock::now() + chrono::Days::new(30);
        let body =
            json!({ "name": "Program", "password": PASSWORD, "permissions": permissions, "expiresAt": expires_at });
        let made = self.post(owner, "/api/v1/account/tokens", &body).await.expect(201);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (Person { token: text(&made["secret"]), ..owner.clone() }, text(&made["token"]["id"]))
    }

    /// The OpenAPI document.
    pub async fn document(&self) -> Value {
        send(self.request(Method::GET, "/api/openapi.json")).await.expect(200)
    }

    /// What a query finds behind the API's back.
    pub async fn rows(&self, sql: &str) -> Vec<store::Row> {
        self.db.query_all_raw(store::statement(sql)).await.expect("valid SQL")
    }

    /// Runs SQL behind the API's back.
    pub async fn sql(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.expect("valid SQL");
    }
}

impl Answer {
    /// The JSON body, if the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).expect("a JSON body")
    }

    /// The body, if it is a complete problem with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        let request_id = self.header("x-request-id").to_owned();
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status, "{body}");
        assert_eq!(body["type"], format!("urn:nvisy:problem:{code}"), "{body}");
        assert_eq!(body["requestId"], request_id, "{body}");
        assert!(body["title"].is_string(), "{body}");
        body
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

pub async fn send(request: RequestBuilder) -> Answer {
    let response: Response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, text: response.text().await.expect("a whole body") }
}

fn client() -> reqwest::Client {
    TestApp::builder().build().expect("a client")
}

/// A program of this workspace, built with the tests.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let program = test.parent().and_then(|deps| deps.parent()).expect("a target folder").join(name);
    assert!(program.exists(), "{} is not built: run the tests through `just test`", program.display());
    program
}

/// Asks again until there is an answer.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} did not happen in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
