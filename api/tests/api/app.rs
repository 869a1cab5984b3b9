//! An API of a test's own: free port, fresh database, throwaway keys; all gone at the end.

use std::net::SocketAddr;

use nvisy_api::{app::App, command};
use nvisy_shared::{
    config::Config,
    id,
    lifecycle::Lifecycle,
    store::{self, Conn, Db},
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Where the servers for tests are; `just test` sets it.
const SERVER: &str = "NVISY_TEST_DATABASE_URL";

pub const PASSWORD: &str = "seven otters juggle";

pub struct TestApp {
    pub address: SocketAddr,
    pub lifecycle: Lifecycle,
    /// To look behind the API.
    pub db: Db,
    pub keys: TempDir,
    client: reqwest::Client,
    config: Config,
    database: String,
    server: JoinHandle<()>,
}

/// Somebody who has signed up and logged in.
#[derive(Clone)]
pub struct Person {
    pub id: String,
    pub email: String,
    pub token: String,
}

/// A response that has been read.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings of its own.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let server = std::env::var(SERVER).unwrap_or_else(|_| panic!("{SERVER} must name a PostgreSQL: use `just test`"));
        let database = format!("nvisy_test_{}", id::new().simple());
        admin(&server, &format!("create database {database}")).await;
        let url = format!("{}/{database}", server.rsplit_once('/').expect("the URL names a database").0);

        let keys = tempfile::tempdir().expect("a temporary directory");
        command::keys(keys.path(), false).expect("fresh keys");
        let file = |name: &str| keys.path().join(name).display().to_string();
        let mut variables = vec![
            ("NVISY_DATABASE_URL", url),
            ("NVISY_DATABASE_CONNECTIONS", "5".to_owned()),
            ("NVISY_HTTP_ADDRESS", "127.0.0.1:0".to_owned()),
            ("NVISY_AUTH_PRIVATE_KEY_FILE", file("private.pem")),
            ("NVISY_AUTH_PUBLIC_KEY_FILE", file("public.pem")),
            ("NVISY_ENCRYPTION_KEY_FILE", file("encryption.key")),
        ];
        variables.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let config = Config::from_variables(variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let config = config.expect("valid settings");

        let lifecycle = Lifecycle::new();
        let bound = App::build(config.clone(), lifecycle.clone()).await.expect("a started API");
        let bound = bound.bind().expect("a free port");
        let address = bound.address();
        let server = tokio::spawn(async move { bound.run().await.expect("a server that stops when told") });
        let db = store::connect(&config.database).await.expect("a second pool");
        Self { address, lifecycle, db, keys, client: client(), config, database, server }
    }

    /// Stops the API and drops the database. Tests call it last; a test that failed leaves its database for a look.
    pub async fn stop(self) {
        self.lifecycle.soft().cancel();
        self.server.await.expect("a clean stop");
        self.db.close().await.expect("a closed pool");
        let server = std::env::var(SERVER).expect("it was set at the start");
        admin(&server, &format!("drop database {} with (force)", self.database)).await;
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub async fn get(&self, person: &Person, path: &str) -> Answer {
        send(self.request(Method::GET, path).bearer_auth(&person.token)).await
    }

    pub async fn post(&self, person: &Person, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).bearer_auth(&person.token).json(body)).await
    }

    /// Somebody new.
    pub async fn person(&self, name: &str) -> Person {
        let email = format!("{name}@example.org");
        let body = json!({ "email": email, "password": PASSWORD, "displayName": name });
        let account = send(self.request(Method::POST, "/api/v1/auth/sign-up").json(&body)).await.expect(201);
        let token = self.login(&email, PASSWORD).await.expect(200)["accessToken"].as_str().expect("a token").to_owned();
        Person { id: account["id"].as_str().expect("an id").to_owned(), email, token }
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

    /// The OpenAPI document.
    pub async fn document(&self) -> Value {
        send(self.request(Method::GET, "/api/openapi.json")).await.expect(200)
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

#[expect(clippy::disallowed_methods, reason = "a test talks to its own API")]
fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn admin(server: &str, sql: &str) {
    let variables = [("NVISY_DATABASE_URL", server), ("NVISY_DATABASE_CONNECTIONS", "1")];
    let config = Config::from_variables(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let db = store::connect(&config.expect("valid settings").database).await.expect("the server for tests");
    db.execute_unprepared(sql).await.expect("valid SQL");
    db.close().await.expect("a closed pool");
}
