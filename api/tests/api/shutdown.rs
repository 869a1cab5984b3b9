//! Stopping: readiness fails first, then nobody new is let in, then what was begun is finished.

use std::fs;

use futures::StreamExt;
use nvisy_shared::store::{self, Conn};
use reqwest::Method;
use serde_json::json;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    api_tokens::program,
    crash_recovery::{second_api, signal},
    files::part,
    slow_clients::ends,
    support::app::{Answer, Person, TestApp, send, until},
};

/// Longer than any test.
const LONG: (&str, &str) = ("NVISY_HTTP_DRAIN_SECONDS", "3600");
const SHORT: (&str, &str) = ("NVISY_HTTP_DRAIN_SECONDS", "1");

#[actix_web::test]
async fn only_readiness_fails_while_draining() {
    let app = TestApp::start_with(&[LONG]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let events = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/events"));
    let mut events = events.bearer_auth(&ada.token).send().await.unwrap().bytes_stream();

    app.lifecycle.soft().cancel();
    for path in ["/health", "/health/ready"] {
        assert_eq!(send(app.request(Method::GET, path)).await.expect(503)["status"], "stopping");
    }
    // A listener goes on elsewhere at once, and holds nobody up.
    while let Some(more) = events.next().await {
        more.expect("a stream that ends in order");
    }
    // New connections are still taken: whoever has not looked at readiness yet gets its answer.
    let stranger = TestApp::stranger();
    let live = stranger.get(format!("http://{}/health/live", app.address)).send().await.unwrap();
    assert_eq!(live.status(), 200);
    let file = app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await;
    assert_eq!(file.status, 202, "{}", file.text);
    app.lifecycle.hard().cancel();
    app.stop_with_jobs().await;
}

#[actix_web::test]
async fn records_made_while_draining_are_flushed() {
    let app = TestApp::start_with(&[LONG]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let (robot, _) = program(&app, &ada, json!({})).await;
    app.lifecycle.soft().cancel();
    app.get(&robot, "/api/v1/account").await.expect(200);
    let search = json!({ "query": "slack water", "mode": "text" });
    app.post(&ada, &format!("/api/v1/workspaces/{workspace}/search"), &search).await.expect(200);
    app.login("ada@example.org", "not the password").await.problem(401, "wrong_credentials");
    app.lifecycle.hard().cancel();
    app.stop_before(async |place| {
        let db = store::connect(&place.config(&[]).database).await.unwrap();
        let sql = "select (select count(*) from api_token where last_used_at is not null) as used,
                          (select sum(searches)::bigint from search_count) as searches,
                          (select count(*) from activity where action = 'session.refused') as refused";
        let row = db.query_one_raw(store::statement(sql)).await.unwrap().unwrap();
        for what in ["used", "searches", "refused"] {
            assert_eq!(row.try_get::<i64>("", what).unwrap(), 1, "{what}");
        }
        db.close().await.unwrap();
    })
    .await;
}

/// An upload that is with the server and not at its end.
struct Upload {
    sender: mpsc::Sender<Result<String, std::io::Error>>,
    answer: JoinHandle<Answer>,
}

impl Upload {
    async fn begin(app: &TestApp, base: &str, ada: &Person, workspace: &str) -> Self {
        let (sender, body) = mpsc::channel(1);
        let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(body));
        let request = app.request_to(base, Method::POST, &format!("/api/v1/workspaces/{workspace}/files"));
        let request =
            request.bearer_auth(&ada.token).header("content-type", "multipart/form-data; boundary=x").body(body);
        let head = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nSlack water";
        let upload = Self { sender, answer: tokio::spawn(send(request)) };
        upload.send(head).await;
        // Its first bytes are with the server once the channel has room for the next.
        upload.send(" is at").await;
        upload.send(" six.").await;
        upload
    }

    async fn send(&self, text: &str) {
        self.sender.send(Ok(text.to_owned())).await.unwrap();
    }

    async fn end(self) -> Answer {
        self.send("\r\n--x--\r\n").await;
        drop(self.sender);
        self.answer.await.unwrap()
    }
}

#[actix_web::test]
async fn in_flight_upload_finishes_during_shutdown() {
    let app = TestApp::start_with(&[SHORT]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let upload = Upload::begin(&app, &format!("http://{}", app.address), &ada, &workspace).await;
    app.lifecycle.soft().cancel();
    until("new connections are refused", async || {
        let answer = TestApp::stranger().get(format!("http://{}/health/live", app.address)).send().await;
        answer.is_err().then_some(())
    })
    .await;
    let answer = upload.end().await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    app.stop_with_jobs().await;
}

/// Threads of this process that answer requests.
fn servers(process: u32) -> usize {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("a process that runs");
    let names = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.filter(|name| name.starts_with("actix-server w")).count()
}

#[actix_web::test]
async fn in_flight_upload_survives_the_end_of_other_server_threads() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let settings = [("NVISY_HTTP_WORKERS", "4"), ("NVISY_HTTP_DRAIN_SECONDS", "0")];
    let (mut api, base) = second_api(&app, &settings).await;
    let process = api.id().expect("an API that runs");
    assert_eq!(servers(process), 4);
    let upload = Upload::begin(&app, &base, &ada, &workspace).await;
    // Each thread opens connections to the database, and all of them have just been used.
    futures::future::join_all((0..16).map(async |_| {
        let client = TestApp::builder().pool_max_idle_per_host(0).build().unwrap();
        for _ in 0..20 {
            let account = client.get(format!("{base}/api/v1/account")).bearer_auth(&ada.token);
            send(account).await.expect(200);
        }
    }))
    .await;
    let port = base.rsplit(':').next().unwrap().parse().unwrap();
    until("only the upload goes on", async || (ends(port).len() == 1).then_some(())).await;
    signal(process, "-TERM").await;
    until("the other threads have ended", async || (servers(process) == 1).then_some(())).await;
    let answer = upload.end().await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert!(api.wait().await.unwrap().success());
    app.stop_with_jobs().await;
}
