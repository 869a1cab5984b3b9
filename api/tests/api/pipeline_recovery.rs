//! Runs of pipelines while workers, APIs and servers are killed: every effect happens, and happens once.

use nvisy_shared::testing::{Server, TestDeployment, TestServers};
use reqwest::Method;

use crate::{
    pipeline_graphs::{ENGLISH, GERMAN, languages},
    support::{Setup, TestApp, part, send, spawn, start_second_api, wait_until},
};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");

/// Rows of each kind that a run must have written once, whatever was killed.
#[actix_web::test]
async fn every_effect_happens_once_however_often_workers_are_killed() {
    const FILES: usize = 60;
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    setup.collection("german").await;
    setup.collection("other").await;
    setup.pipeline("Languages", &languages()).await;
    let parts = (0..FILES).map(|n| part(&format!("{n}.txt"), numbered(n))).collect();
    setup.app.upload(&setup.ada, &setup.workspace, parts).await.expect(202);
    let lease = ("NVISY_QUEUE_LEASE_SECONDS", "2");
    for round in 1..=5 {
        let mut worker = spawn("nvisy-worker", &setup.app.deployment, &[LOCAL, lease]);
        let enough = (FILES * round / 6) as i64;
        wait_until("some files are ready", async || {
            (setup.app.count("file_version where state = 'ready'").await >= enough).then_some(())
        })
        .await;
        worker.kill().await.expect("a killed worker");
    }
    let worker = spawn("nvisy-worker", &setup.app.deployment, &[LOCAL, lease]);
    wait_until("all files are ready", async || {
        (setup.app.count("file_version where state = 'ready'").await == FILES as i64).then_some(())
    })
    .await;
    setup.app.wait_until_no_jobs_are_left().await;
    drop(worker);
    assert_every_effect_happened_once(&setup, FILES).await;
    setup.app.stop().await;
}

/// The text of a file, which no other file has.
fn numbered(n: usize) -> String {
    format!("{} {n}", if n.is_multiple_of(2) { GERMAN } else { ENGLISH })
}

/// Every chunk is in the collection of its language and in `default`, once and with its vector.
async fn assert_every_effect_happened_once(setup: &Setup, files: usize) {
    let found = setup.live_chunks().await;
    let expected = |keep: fn(usize) -> bool| {
        let mut texts: Vec<_> = (0..files).filter(|n| keep(*n)).map(numbered).collect();
        texts.sort();
        texts
    };
    let sorted = |name: &str| {
        let mut texts = found[name].clone();
        texts.sort();
        texts
    };
    assert_eq!(sorted("german"), expected(|n| n.is_multiple_of(2)));
    assert_eq!(sorted("other"), expected(|n| !n.is_multiple_of(2)));
    assert_eq!(sorted("default"), expected(|_| true));
    assert_eq!(setup.app.count("embedding").await, 2 * files as i64);
    assert_eq!(setup.app.count("target where not live").await, 0);
    assert_eq!(setup.app.count("run where state <> 'completed'").await, 0);
}

#[actix_web::test]
async fn every_effect_happens_once_when_api_workers_postgres_and_nats_are_killed() {
    const FILES: usize = 200;
    /// The last files are uploaded by an API that is killed.
    const BEFORE: usize = 180;
    let servers = TestServers::start();
    let deployment = TestDeployment::on(&servers.database_url, &servers.nats_url).await;
    // A kill costs the job in progress an attempt, and the wait after a failure doubles with each.
    let settings = [
        LOCAL,
        ("NVISY_QUEUE_LEASE_SECONDS", "2"),
        ("NVISY_QUEUE_ATTEMPTS", "100"),
        ("NVISY_QUEUE_BACKOFF_MILLIS", "100"),
    ];
    let setup = Setup::of(TestApp::start_in(deployment, &settings).await).await;
    setup.collection("german").await;
    setup.collection("other").await;
    setup.pipeline("Languages", &languages()).await;
    for first in (0..BEFORE).step_by(90) {
        let parts = (first..first + 90).map(|n| part(&format!("{n}.txt"), numbered(n))).collect();
        setup.app.upload(&setup.ada, &setup.workspace, parts).await.expect(202);
    }
    // Each round lets some files through, and then kills something else.
    let start = || spawn("nvisy-worker", &setup.app.deployment, &settings);
    let mut workers = [start(), start()];
    let usage = setup.path("usage");
    let chunks = async || {
        let response = setup.app.get(&setup.ada, &usage).await;
        (response.status == 200).then(|| response.expect(200)["chunks"]["used"].as_u64().unwrap_or_default())
    };
    let rounds = ["worker", "postgres", "nats", "api", "worker", "nats", "postgres", "worker"];
    for (round, killed) in (1..).zip(rounds) {
        let enough = (2 * BEFORE * round / (rounds.len() + 2)) as u64;
        wait_until("some chunks are written", async || (chunks().await? >= enough).then_some(())).await;
        match killed {
            "worker" => {
                let worker = &mut workers[round % 2];
                worker.kill().await.expect("a killed worker");
                *worker = start();
            }
            "api" => upload_while_the_api_is_killed(&setup, BEFORE..FILES).await,
            server => {
                servers.kill(if server == "nats" { Server::Nats } else { Server::Postgres });
                servers.restart_killed();
            }
        }
    }
    wait_until("all chunks are written", async || (chunks().await? == 2 * FILES as u64).then_some(())).await;
    setup.app.wait_until_no_jobs_are_left().await;
    drop(workers);
    assert_every_effect_happened_once(&setup, FILES).await;
    setup.app.stop().await;
}

/// Uploads files to an API that is killed meanwhile, and again to another one.
async fn upload_while_the_api_is_killed(setup: &Setup, files: std::ops::Range<usize>) {
    let form = || {
        files.clone().fold(reqwest::multipart::Form::new(), |form, n| {
            form.text("externalId", format!("file-{n}")).part("file", part(&format!("{n}.txt"), numbered(n)))
        })
    };
    let (mut api, url) = start_second_api(&setup.app, &[LOCAL]).await;
    let request = setup.app.request_to(&url, Method::POST, &setup.path("files"));
    let pending = tokio::spawn(request.bearer_auth(&setup.ada.token).multipart(form()).send());
    let stored = setup.app.deployment.stored_objects().await;
    wait_until("some of the bytes are stored", async || {
        (pending.is_finished() || setup.app.deployment.stored_objects().await > stored).then_some(())
    })
    .await;
    api.kill().await.expect("a killed API");
    let _ = pending.await.expect("the request ends");
    wait_until("the upload is accepted", async || {
        let request = setup.app.request(Method::POST, &setup.path("files")).bearer_auth(&setup.ada.token);
        (send(request.multipart(form())).await.status == 202).then_some(())
    })
    .await;
}
