//! A log line of level WARN or ERROR tells an operator to act: requests that are part of the usual day write none.

use std::{fs::File, process::ExitStatus};

use nvisy_api::cli;
use nvisy_shared::{
    store::{self, Conn},
    testing::TestDeployment,
};
use reqwest::{Method, RequestBuilder, multipart::Form};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::support::{
    PASSWORD, TestApp, TestResponse, free_port, part, program_command, send, send_signal, wait_until,
};

const PROGRAMS: [&str; 2] = ["nvisy-api", "nvisy-worker"];

/// API and worker as processes, whose logs are files.
struct Programs {
    deployment: TestDeployment,
    base: String,
    client: reqwest::Client,
    running: Vec<Child>,
}

impl Programs {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let deployment = TestDeployment::new().await;
        cli::keys(deployment.keys().folder(), false).expect("new keys");
        let address = format!("127.0.0.1:{}", free_port());
        let own = [
            ("NVISY_HTTP_ADDRESS", address.as_str()),
            ("NVISY_EMBEDDING_PROVIDER", "local"),
            ("NVISY_LOG_FILTER", "warn"),
            ("NVISY_LIMIT_NAME_MINUTE", "5"),
        ];
        let settings = [&own, settings].concat();
        let start = |name: &str| {
            let log = File::create(deployment.keys().path(&format!("{name}.log"))).expect("a log file");
            program_command(name, &deployment, &settings).stderr(log).spawn().expect("a started program")
        };
        let running = PROGRAMS.map(start).into();
        let programs = Self { base: format!("http://{address}"), client: TestApp::new_client(), running, deployment };
        wait_until("the API is ready", async || {
            let response = programs.request(Method::GET, "/health/ready").send().await.ok()?;
            response.status().is_success().then_some(())
        })
        .await;
        programs
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    async fn get(&self, path: &str) -> TestResponse {
        send(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, body: Value) -> TestResponse {
        send(self.request(Method::POST, path).json(&body)).await
    }

    /// Fails if a program wrote a line, after both have stopped.
    async fn stop_and_assert_silence(mut self) {
        for ended in self.stop().await {
            assert!(ended.success(), "{ended}");
        }
        for name in PROGRAMS {
            let log = std::fs::read_to_string(self.deployment.keys().path(&format!("{name}.log"))).expect("a log file");
            assert_eq!(log, "", "{name} wrote warnings");
        }
        self.deployment.close().await;
    }

    /// Stops both programs as a service manager does.
    async fn stop(&mut self) -> Vec<ExitStatus> {
        let mut ended = Vec::new();
        for program in &mut self.running {
            send_signal(program.id().expect("a program that runs"), "-TERM").await;
            ended.push(program.wait().await.expect("an ended program"));
        }
        ended
    }
}

/// The same client, signed in.
fn signed_in(token: &str) -> reqwest::Client {
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    TestApp::client_builder().default_headers(headers).build().expect("a client")
}

async fn sign_up_and_log_in(programs: &mut Programs) {
    let account = json!({ "email": "ada@example.org", "password": PASSWORD, "displayName": "Ada" });
    programs.post("/api/v1/auth/sign-up", account.clone()).await.expect(201);
    programs.post("/api/v1/auth/sign-up", account).await.problem(409, "email_taken");
    programs.post("/api/v1/auth/sign-up", json!({ "email": "ada" })).await.problem(422, "invalid_body");
    let login = |password: &str| json!({ "email": "ada@example.org", "password": password });
    let tokens = programs.post("/api/v1/auth/login", login(PASSWORD)).await.expect(200);
    wait_until("the attempts are used up", async || {
        let refused = programs.post("/api/v1/auth/login", login("wrong")).await;
        (refused.status == 429).then_some(())
    })
    .await;
    programs.client = signed_in(tokens["accessToken"].as_str().unwrap());
}

async fn upload(programs: &Programs, files: &str, name: &str, content: &[u8]) -> String {
    let form = Form::new().part("file", part(name, content));
    let accepted = send(programs.request(Method::POST, files).multipart(form)).await.expect(202);
    accepted["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn upload_search_and_delete(programs: &Programs, workspace: &str) {
    let files = format!("{workspace}/files");
    let good = upload(programs, &files, "tide.md", b"# Tide\n\nThe lock gates open at slack water.\n").await;
    let unreadable = upload(programs, &files, "cut.pdf", b"%PDF-1.7\n1 0 obj").await;
    for (file, state) in [(&good, "ready"), (&unreadable, "failed")] {
        wait_until(state, async || {
            let file = programs.get(&format!("{files}/{file}")).await.expect(200);
            (file["state"] == state).then_some(())
        })
        .await;
    }
    for mode in ["hybrid", "vector", "text"] {
        let query = json!({ "query": "When do the gates open?", "mode": mode });
        let found = programs.post(&format!("{workspace}/search"), query).await.expect(200);
        assert_eq!(found["hits"][0]["file"]["name"], "tide.md", "{mode}");
    }
    programs.post(&format!("{workspace}/search"), json!({ "query": "" })).await.problem(422, "invalid_body");
    assert!(programs.get(&format!("{files}/{good}/content")).await.status.is_success());
    // The client leaves before the end of the stream.
    drop(programs.request(Method::GET, &format!("{workspace}/events")).send().await.expect("a stream"));

    // The worker may not have begun, may read the file, or be about to commit.
    for length in [1, 100, 10_000] {
        let content = "The lock gates open at slack water. ".repeat(length);
        let file = upload(programs, &files, "withdrawn.txt", content.as_bytes()).await;
        assert_eq!(send(programs.request(Method::DELETE, &format!("{files}/{file}"))).await.status, 204);
    }
    for file in [&unreadable, &good] {
        assert_eq!(send(programs.request(Method::DELETE, &format!("{files}/{file}"))).await.status, 204);
        programs.get(&format!("{files}/{file}")).await.problem(404, "not_found");
    }
}

#[actix_web::test]
async fn usual_requests_write_no_warning_and_no_error() {
    let mut programs = Programs::start(&[]).await;
    for path in ["/", "/health", "/api/openapi.json", "/api/scalar"] {
        assert!(programs.get(path).await.status.is_success(), "{path}");
    }
    programs.get("/api/v1/account").await.problem(401, "unauthenticated");
    programs.get("/nothing").await.problem(404, "not_found");
    programs.post("/health", json!({})).await.problem(405, "method_not_allowed");
    let reset = json!({ "email": "ada@example.org" });
    programs.post("/api/v1/auth/password-reset", reset).await.problem(501, "mail_not_configured");

    sign_up_and_log_in(&mut programs).await;
    let workspace = programs.post("/api/v1/workspaces", json!({ "name": "Tidal energy" })).await.expect(201);
    let workspace = format!("/api/v1/workspaces/{}", workspace["id"].as_str().unwrap());
    upload_search_and_delete(&programs, &workspace).await;
    assert!(send(programs.request(Method::DELETE, &workspace)).await.status.is_success());
    assert_eq!(send(programs.request(Method::POST, "/api/v1/auth/logout")).await.status, 204);

    programs.stop_and_assert_silence().await;
}

#[actix_web::test]
async fn job_that_commits_during_a_heartbeat_writes_no_warning() {
    // A heartbeat every two seconds.
    let mut programs = Programs::start(&[("NVISY_QUEUE_LEASE_SECONDS", "6")]).await;
    // Each commit takes as long: a heartbeat waits for the lock of the job, and finds that the job is gone.
    let db = store::connect(&programs.deployment.config(&[]).database).await.unwrap();
    db.execute_unprepared(
        "create function wait() returns trigger language plpgsql as 'begin perform pg_sleep(2); return null; end';
         create constraint trigger slow after delete on job deferrable initially deferred
             for each row execute function wait()",
    )
    .await
    .unwrap();
    sign_up_and_log_in(&mut programs).await;
    let workspace = programs.post("/api/v1/workspaces", json!({ "name": "Tidal energy" })).await.expect(201);
    let files = format!("/api/v1/workspaces/{}/files", workspace["id"].as_str().unwrap());
    for name in ["ebb.txt", "flood.txt", "slack.txt"] {
        upload(&programs, &files, name, name.as_bytes()).await;
    }
    wait_until("all files are ready", async || {
        let files = programs.get(&files).await.expect(200);
        files["items"].as_array().unwrap().iter().all(|file| file["state"] == "ready").then_some(())
    })
    .await;
    db.execute_unprepared("drop function wait cascade").await.unwrap();
    db.close().await.unwrap();
    programs.stop_and_assert_silence().await;
}
