//! Whatever is killed on the way: every accepted file ends ready, with exactly the right chunks, none twice.

use std::{fs, net::TcpListener, path::PathBuf, process::Stdio};

use nvisy_shared::testing::{Server, TestPlace, TestServers};
use reqwest::Method;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::{
    files::part,
    support::app::{Person, TestApp, program, send, until},
};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");
/// Small batches, so that there is a middle to be killed in.
const BATCH: (&str, &str) = ("NVISY_WORKER_BATCH_CHUNKS", "2");

/// Long enough for several batches; each sentence occurs once, so that a chunk lost or doubled shows.
fn text(seed: usize) -> String {
    (0..400)
        .map(|n| format!("Reading {n} of gauge {seed}: the water stood at {} centimetres.\n", (n * 37 + seed) % 911))
        .collect()
}

pub fn spawn(name: &str, place: &TestPlace, settings: &[(&str, &str)]) -> Child {
    Command::new(program(name))
        .env_clear()
        .envs(place.variables(settings))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("a started program")
}

/// An API in a process of its own, and where it answers.
pub async fn second_api(app: &TestApp, settings: &[(&str, &str)]) -> (Child, String) {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let address = address.to_string();
    let settings = [&[("NVISY_HTTP_ADDRESS", address.as_str())], settings].concat();
    let api = spawn("nvisy-api", &app.place, &settings);
    let url = format!("http://{address}");
    until("the second API is ready", async || {
        let answer = app.request_to(&url, Method::GET, "/health/ready").send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    (api, url)
}

async fn upload(app: &TestApp, ada: &Person, workspace: &str, files: usize) -> Vec<String> {
    let parts = (0..files).map(|n| part(&format!("gauge-{n}.txt"), text(n))).collect();
    let accepted = app.upload(ada, workspace, parts).await.expect(202);
    accepted["items"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until some vectors are written and some are not.
async fn midway(app: &TestApp) {
    until("embedding is under way", async || {
        let (chunks, vectors) = (app.count("chunk").await, app.count("embedding").await);
        (vectors > 0 && vectors < chunks).then_some(())
    })
    .await;
}

/// Every file is ready, and its chunks are its text: each once, each with one vector.
async fn all_is_right(app: &TestApp, ada: &Person, workspace: &str, files: &[String]) {
    for (seed, id) in files.iter().enumerate() {
        let file = app.settled(ada, workspace, id).await;
        assert_eq!(file["state"], "ready", "{file}");
        let source = text(seed);
        let chunks = app.chunks(id).await;
        assert_eq!(file["chunkCount"], chunks.len());
        let mut covered = 0;
        for chunk in &chunks {
            assert_eq!(source[covered..chunk.start].trim(), "", "text was lost");
            assert_eq!(source[chunk.start..chunk.end], chunk.text);
            assert_eq!(chunk.vectors, 1);
            covered = chunk.end;
        }
        assert_eq!(source[covered..].trim(), "", "text was lost");
    }
    assert_eq!(app.count("dead_job").await, 0);
    until("no job is left", async || (app.count("job").await == 0).then_some(())).await;
}

#[actix_web::test]
async fn files_are_indexed_once_after_a_worker_is_killed_while_embedding() {
    let app = TestApp::start_with(&[LOCAL]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Gauges").await;
    let files = upload(&app, &ada, &workspace, 3).await;

    let mut first = spawn("nvisy-worker", &app.place, &[LOCAL, BATCH]);
    midway(&app).await;
    first.kill().await.expect("a killed worker");
    let second = spawn("nvisy-worker", &app.place, &[LOCAL, BATCH]);
    all_is_right(&app, &ada, &workspace, &files).await;
    drop(second);
    app.stop().await;
}

/// The process that reads a file for this worker, once there is one, and the file.
async fn reader(worker: &Child) -> (u32, PathBuf) {
    let worker = worker.id().expect("a worker that runs");
    until("a file is being read", async || {
        // All threads of the worker start children.
        let children = fs::read_dir(format!("/proc/{worker}/task")).ok()?.flatten().filter_map(|task| {
            let children = fs::read_to_string(task.path().join("children")).ok()?;
            children.split_whitespace().next()?.parse::<u32>().ok()
        });
        let child = children.last()?;
        let file = fs::read_link(format!("/proc/{child}/fd/0")).ok()?;
        Some((child, file))
    })
    .await
}

pub async fn signal(process: u32, signal: &str) {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status().await.expect("kill runs");
    assert!(sent.success(), "{process} had ended");
}

#[actix_web::test]
async fn worker_killed_while_reading_leaves_no_plaintext_file() {
    let app = TestApp::start_with(&[LOCAL]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Gauges").await;
    // Slow enough to read that there is a middle to be killed in.
    let page = "<table><tr><td><p>A gauge.".repeat(200_000);
    app.upload(&ada, &workspace, vec![part("gauges.html", page)]).await.expect(202);

    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().display().to_string();
    let variables = app.place.variables(&[LOCAL]);
    let mut worker = Command::new(program("nvisy-worker"))
        .env_clear()
        .envs(variables)
        .env("TMPDIR", &folder)
        .kill_on_drop(true)
        .spawn()
        .expect("a started program");
    let (child, file) = reader(&worker).await;
    signal(child, "-STOP").await;
    assert!(file.starts_with(scratch.path()), "what is read is not staged in {folder} but {}", file.display());
    worker.kill().await.expect("a killed worker");

    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "the upload was left in plain text");
    signal(child, "-CONT").await;
    until("its child ends, too", async || (!fs::exists(format!("/proc/{child}/fd/0")).ok()?).then_some(())).await;
    app.stop_with_jobs().await;
}

/// What a restart of one server does to work in progress.
async fn restarted(server: Server) {
    let servers = TestServers::start();
    let place = TestPlace::on(&servers.database_url, &servers.nats_url).await;
    let mut app = TestApp::start_at(place, &[LOCAL, BATCH]).await;
    app.start_worker().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Gauges").await;
    let mut files = upload(&app, &ada, &workspace, 2).await;
    midway(&app).await;
    servers.kill(server);
    servers.revive();
    // It works again for what comes now, too.
    files.push(
        until("an upload is accepted again", async || {
            let answer = app.upload(&ada, &workspace, vec![part("gauge-2.txt", text(2))]).await;
            let accepted: Value = (answer.status == 202).then(|| answer.expect(202))?;
            accepted["items"][0]["id"].as_str().map(str::to_owned)
        })
        .await,
    );
    all_is_right(&app, &ada, &workspace, &files).await;
    app.stop().await;
}

#[actix_web::test]
async fn indexing_survives_a_nats_restart() {
    restarted(Server::Nats).await;
}

#[actix_web::test]
async fn indexing_survives_a_postgres_restart() {
    restarted(Server::Postgres).await;
}

#[actix_web::test]
async fn upload_succeeds_after_an_api_is_killed_before_the_row_is_stored() {
    let app = TestApp::start_with(&[LOCAL]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Gauges").await;
    let (mut victim, url) = second_api(&app, &[]).await;

    // One whole part, and never the end of the body.
    let head = format!(
        "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"gauge-0.txt\"\r\n\r\n{}\r\n--x\r\n",
        text(0)
    );
    let (sender, body) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(1);
    sender.send(Ok(head)).await.expect("room for the head");
    let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(body));
    let request = app.request_to(&url, Method::POST, &format!("/api/v1/workspaces/{workspace}/files"));
    let request = request.bearer_auth(&ada.token).header("content-type", "multipart/form-data; boundary=x").body(body);
    let hanging = tokio::spawn(request.send());
    until("the bytes are stored", async || (app.place.objects().await == 1).then_some(())).await;
    victim.kill().await.expect("a killed API");
    assert!(hanging.await.expect("the request ends").is_err());

    // Bytes without a row are nobody's file; the same upload, made again, is one file.
    assert_eq!(app.count("file").await, 0);
    let worker = spawn("nvisy-worker", &app.place, &[LOCAL, BATCH]);
    let files = upload(&app, &ada, &workspace, 1).await;
    all_is_right(&app, &ada, &workspace, &files).await;
    let list = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/files")).await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let read = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/files/{}/content", files[0]));
    assert_eq!(send(read.bearer_auth(&ada.token)).await.text, text(0));
    drop(worker);
    app.stop().await;
}
