//! Shutdown: readiness fails first, then new connections are rejected, then requests in flight are finished.

use std::fs;

use futures::StreamExt;
use nvisy_shared::store::{self, Conn};
use reqwest::Method;
use serde_json::json;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    slow_clients::server_connections,
    support::{TestAccount, TestApp, TestResponse, part, send, send_signal, start_second_api, wait_until},
};

/// Longer than any test.
const LONG_DRAIN: (&str, &str) = ("NVISY_HTTP_DRAIN_SECONDS", "3600");
const SHORT_DRAIN: (&str, &str) = ("NVISY_HTTP_DRAIN_SECONDS", "1");

#[actix_web::test]
async fn only_readiness_fails_while_draining() {
    let app = TestApp::start_with(&[LONG_DRAIN]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let events = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/events"));
    let mut events = events.bearer_auth(&ada.token).send().await.unwrap().bytes_stream();

    app.lifecycle.soft().cancel();
    for path in ["/health", "/health/ready"] {
        assert_eq!(send(app.request(Method::GET, path)).await.expect(503)["status"], "stopping");
    }
    // Event streams end at once, so that they do not delay the shutdown.
    while let Some(more) = events.next().await {
        more.expect("a stream that ends in order");
    }
    // New connections are accepted for clients that have not noticed the failed readiness yet.
    let new_client = TestApp::new_client();
    let live = new_client.get(format!("http://{}/health/live", app.address)).send().await.unwrap();
    assert_eq!(live.status(), 200);
    let file = app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await;
    assert_eq!(file.status, 202, "{}", file.text);
    app.lifecycle.hard().cancel();
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn records_made_while_draining_are_flushed() {
    let app = TestApp::start_with(&[LONG_DRAIN]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let (caller, _) = app.api_token(&ada, &json!({})).await;
    app.lifecycle.soft().cancel();
    app.get(&caller, "/api/v1/account").await.expect(200);
    let search = json!({ "query": "slack water", "mode": "text" });
    app.post(&ada, &format!("/api/v1/workspaces/{workspace}/search"), &search).await.expect(200);
    app.login("ada@example.org", "not the password").await.problem(401, "wrong_credentials");
    app.lifecycle.hard().cancel();
    app.stop_then(async |deployment| {
        let db = store::connect(&deployment.config(&[]).database).await.unwrap();
        let sql = "select (select count(*) from api_token where last_used_at is not null) as used,
                          (select sum(searches)::bigint from search_count) as searches,
                          (select count(*) from activity where action = 'session.refused') as refused";
        let row = db.query_one_raw(store::statement(sql)).await.unwrap().unwrap();
        for column in ["used", "searches", "refused"] {
            assert_eq!(row.try_get::<i64>("", column).unwrap(), 1, "{column}");
        }
        db.close().await.unwrap();
    })
    .await;
}

/// An upload in flight.
struct Upload {
    sender: mpsc::Sender<Result<String, std::io::Error>>,
    response: JoinHandle<TestResponse>,
}

impl Upload {
    async fn start(app: &TestApp, base: &str, ada: &TestAccount, workspace: &str) -> Self {
        let (sender, body) = mpsc::channel(1);
        let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(body));
        let request = app.request_to(base, Method::POST, &format!("/api/v1/workspaces/{workspace}/files"));
        let request =
            request.bearer_auth(&ada.token).header("content-type", "multipart/form-data; boundary=x").body(body);
        let head = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nSlack water";
        let upload = Self { sender, response: tokio::spawn(send(request)) };
        upload.send(head).await;
        // The server has received the first bytes when the channel accepts further ones.
        upload.send(" is at").await;
        upload.send(" six.").await;
        upload
    }

    async fn send(&self, text: &str) {
        self.sender.send(Ok(text.to_owned())).await.unwrap();
    }

    async fn finish(self) -> TestResponse {
        self.send("\r\n--x--\r\n").await;
        drop(self.sender);
        self.response.await.unwrap()
    }
}

#[actix_web::test]
async fn in_flight_upload_finishes_during_shutdown() {
    let app = TestApp::start_with(&[SHORT_DRAIN]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let upload = Upload::start(&app, &format!("http://{}", app.address), &ada, &workspace).await;
    app.lifecycle.soft().cancel();
    wait_until("new connections are rejected", async || {
        let response = TestApp::new_client().get(format!("http://{}/health/live", app.address)).send().await;
        response.is_err().then_some(())
    })
    .await;
    let response = upload.finish().await;
    assert_eq!(response.status, 202, "{}", response.text);
    app.stop_and_drop_jobs().await;
}

/// The number of server threads of the process.
fn server_threads(process: u32) -> usize {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("a process that runs");
    let names = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.filter(|name| name.starts_with("actix-server w")).count()
}

#[actix_web::test]
async fn in_flight_upload_survives_the_end_of_other_server_threads() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let settings = [("NVISY_HTTP_WORKERS", "4"), ("NVISY_HTTP_DRAIN_SECONDS", "0")];
    let (mut api, base) = start_second_api(&app, &settings).await;
    let process = api.id().expect("an API that runs");
    assert_eq!(server_threads(process), 4);
    let upload = Upload::start(&app, &base, &ada, &workspace).await;
    // Every thread has open connections to the database.
    futures::future::join_all((0..16).map(async |_| {
        let client = TestApp::client_builder().pool_max_idle_per_host(0).build().unwrap();
        for _ in 0..20 {
            let account = client.get(format!("{base}/api/v1/account")).bearer_auth(&ada.token);
            send(account).await.expect(200);
        }
    }))
    .await;
    let port = base.rsplit(':').next().unwrap().parse().unwrap();
    wait_until("only the upload is connected", async || (server_connections(port).len() == 1).then_some(())).await;
    send_signal(process, "-TERM").await;
    wait_until("the other threads have ended", async || (server_threads(process) == 1).then_some(())).await;
    let response = upload.finish().await;
    assert_eq!(response.status, 202, "{}", response.text);
    assert!(api.wait().await.unwrap().success());
    app.stop_and_drop_jobs().await;
}
