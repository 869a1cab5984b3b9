//! API, worker, PostgreSQL or NATS are killed: every accepted file becomes ready, with each chunk exactly once.

use std::{fs, path::PathBuf};

use nvisy_shared::testing::{Server, TestDeployment, TestServers};
use reqwest::Method;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::support::{TestAccount, TestApp, part, program, send, send_signal, spawn, start_second_api, wait_until};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");
/// Small batches, so that a process can be killed between two of them.
const BATCH: (&str, &str) = ("NVISY_WORKER_BATCH_CHUNKS", "2");

/// Text for several batches; each sentence occurs once, so that lost and duplicate chunks are found.
fn readings(seed: usize) -> String {
    (0..400)
        .map(|n| format!("Reading {n} of gauge {seed}: the water stood at {} centimetres.\n", (n * 37 + seed) % 911))
        .collect()
}

async fn upload(app: &TestApp, ada: &TestAccount, workspace: &str, files: usize) -> Vec<String> {
    let parts = (0..files).map(|n| part(&format!("gauge-{n}.txt"), readings(n))).collect();
    let accepted = app.upload(ada, workspace, parts).await.expect(202);
    accepted["items"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until some vectors are written and work is left.
async fn wait_until_embedding_has_begun(app: &TestApp) {
    wait_until("embedding has begun", async || {
        let (vectors, jobs) = (app.count("embedding").await, app.count("job").await);
        (vectors > 0 && jobs > 0).then_some(())
    })
    .await;
}

/// Waits until every file is ready; its chunks must cover its text, each with one vector.
async fn assert_indexed_once(app: &TestApp, ada: &TestAccount, workspace: &str, files: &[String]) {
    for (seed, id) in files.iter().enumerate() {
        let file = app.finished_file(ada, workspace, id).await;
        assert_eq!(file["state"], "ready", "{file}");
        let source = readings(seed);
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
    app.wait_until_no_jobs_are_left().await;
}

#[actix_web::test]
async fn files_are_indexed_once_after_a_worker_is_killed_while_embedding() {
    let app = TestApp::start_with(&[LOCAL]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Gauges").await;
    let files = upload(&app, &ada, &workspace, 3).await;

    let mut first = spawn("nvisy-worker", &app.deployment, &[LOCAL, BATCH]);
    wait_until_embedding_has_begun(&app).await;
    first.kill().await.expect("a killed worker");
    let second = spawn("nvisy-worker", &app.deployment, &[LOCAL, BATCH]);
    assert_indexed_once(&app, &ada, &workspace, &files).await;
    drop(second);
    app.stop().await;
}

/// The child process that reads a file for this worker, and the file.
async fn reading_child(worker: &Child) -> (u32, PathBuf) {
    let worker = worker.id().expect("a worker that runs");
    wait_until("a file is being read", async || {
        // Any thread of the worker may have started the child.
        let children = fs::read_dir(format!("/proc/{worker}/task")).ok()?.flatten().filter_map(|task| {
            let children = fs::read_to_string(task.path().join("children")).ok()?;
            children.split_whitespace().next()?.parse::<u32>().ok()
        });
        let child = children.last()?;
        let input = |process: u32| fs::read_link(format!("/proc/{process}/fd/0")).ok();
        let file = input(child)?;
        // It begins with the input of the worker.
        (Some(&file) != input(worker).as_ref()).then_some((child, file))
    })
    .await
}

#[actix_web::test]
async fn worker_killed_while_reading_leaves_no_plaintext_file() {
    let app = TestApp::start_with(&[LOCAL]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Gauges").await;
    // A file that takes long enough to read.
    let page = "<table><tr><td><p>A gauge.".repeat(200_000);
    app.upload(&ada, &workspace, vec![part("gauges.html", page)]).await.expect(202);

    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().display().to_string();
    let variables = app.deployment.variables(&[LOCAL]);
    let mut worker = Command::new(program("nvisy-worker"))
        .env_clear()
        .envs(variables)
        .env("TMPDIR", &folder)
        .kill_on_drop(true)
        .spawn()
        .expect("a started program");
    let (child, file) = reading_child(&worker).await;
    send_signal(child, "-STOP").await;
    assert!(file.starts_with(scratch.path()), "the file is staged not in {folder} but in {}", file.display());
    worker.kill().await.expect("a killed worker");

    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "a plaintext file was left");
    send_signal(child, "-CONT").await;
    wait_until("the child has ended", async || (!fs::exists(format!("/proc/{child}/fd/0")).ok()?).then_some(())).await;
    app.stop_and_drop_jobs().await;
}

async fn assert_indexing_survives_a_restart_of(server: Server) {
    let servers = TestServers::start();
    let deployment = TestDeployment::on(&servers.database_url, &servers.nats_url).await;
    let mut app = TestApp::start_in(deployment, &[LOCAL, BATCH]).await;
    app.start_worker().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Gauges").await;
    let mut files = upload(&app, &ada, &workspace, 2).await;
    wait_until_embedding_has_begun(&app).await;
    servers.kill(server);
    servers.restart_killed();
    // New uploads are indexed as well.
    files.push(
        wait_until("an upload is accepted again", async || {
            let response = app.upload(&ada, &workspace, vec![part("gauge-2.txt", readings(2))]).await;
            let accepted: Value = (response.status == 202).then(|| response.expect(202))?;
            accepted["items"][0]["id"].as_str().map(str::to_owned)
        })
        .await,
    );
    assert_indexed_once(&app, &ada, &workspace, &files).await;
    app.stop().await;
}

#[actix_web::test]
async fn indexing_survives_a_nats_restart() {
    assert_indexing_survives_a_restart_of(Server::Nats).await;
}

#[actix_web::test]
async fn indexing_survives_a_postgres_restart() {
    assert_indexing_survives_a_restart_of(Server::Postgres).await;
}

#[actix_web::test]
async fn upload_succeeds_after_an_api_is_killed_before_the_row_is_stored() {
    let app = TestApp::start_with(&[LOCAL]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Gauges").await;
    let (mut api, url) = start_second_api(&app, &[]).await;

    // A complete part, without the end of the body.
    let head = format!(
        "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"gauge-0.txt\"\r\n\r\n{}\r\n--x\r\n",
        readings(0)
    );
    let (sender, body) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(1);
    sender.send(Ok(head)).await.expect("an open body");
    let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(body));
    let request = app.request_to(&url, Method::POST, &format!("/api/v1/workspaces/{workspace}/files"));
    let request = request.bearer_auth(&ada.token).header("content-type", "multipart/form-data; boundary=x").body(body);
    let pending = tokio::spawn(request.send());
    wait_until("the bytes are stored", async || (app.deployment.stored_objects().await == 1).then_some(())).await;
    api.kill().await.expect("a killed API");
    assert!(pending.await.expect("the request ends").is_err());

    // The stored bytes belong to no file; the repeated upload creates one.
    assert_eq!(app.count("file").await, 0);
    let worker = spawn("nvisy-worker", &app.deployment, &[LOCAL, BATCH]);
    let files = upload(&app, &ada, &workspace, 1).await;
    assert_indexed_once(&app, &ada, &workspace, &files).await;
    let list = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/files")).await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let read = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/files/{}/content", files[0]));
    assert_eq!(send(read.bearer_auth(&ada.token)).await.text, readings(0));
    drop(worker);
    app.stop().await;
}
