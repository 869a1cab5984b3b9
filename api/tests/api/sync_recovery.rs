//! Workers, APIs, PostgreSQL and NATS are killed during syncs: the files equal the objects in the end, each of them once.

use std::collections::BTreeMap;

use nvisy_shared::testing::{Server, TestDeployment, TestServers};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::support::{
    TestApp,
    object_store::{SeaweedFs, s3_credentials},
    spawn, start_second_api,
    synced::{LOOPBACK, Synced, counts},
    wait_until,
};

pub const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");
/// A killed worker's jobs wait this long.
pub const LEASE: (&str, &str) = ("NVISY_QUEUE_LEASE_SECONDS", "2");
/// A kill costs the job in progress an attempt, and so does each one while a server is away.
const ATTEMPTS: (&str, &str) = ("NVISY_QUEUE_ATTEMPTS", "100");
/// The first wait after a failure, which doubles: kills have made the jobs old.
const BACKOFF: (&str, &str) = ("NVISY_QUEUE_BACKOFF_MILLIS", "100");
const SETTINGS: [(&str, &str); 5] = [LOCAL, LEASE, LOOPBACK, ATTEMPTS, BACKOFF];
/// A multiple of ten. `NVISY_TEST_SYNC_OBJECTS` sets another one: 2,000 take some minutes.
const OBJECTS: usize = 260;
/// Objects that are new in the second sync.
const NEW: usize = 20;

fn object_count() -> usize {
    std::env::var("NVISY_TEST_SYNC_OBJECTS").map_or(OBJECTS, |objects| objects.parse().expect("a number of objects"))
}

fn content(at: usize, version: usize) -> String {
    format!("Gauge number{at} stood at level{version} in the morning. {}", "tide ".repeat(version * 3))
}

/// Syncs while workers are killed after times of random length; returns the run.
pub async fn sync_under_fire(synced: &Synced, kills: usize) -> serde_json::Value {
    let run = synced.start_sync(json!({})).await;
    let settings = [LOCAL, LEASE, LOOPBACK];
    for kill in 0..kills {
        let mut worker = spawn("nvisy-worker", &synced.app.deployment, &settings);
        let millis = 600 + nvisy_shared::id::new().as_u128() as u64 % 1_500;
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
        worker.kill().await.unwrap_or_else(|error| panic!("worker {kill} could not be killed: {error}"));
    }
    let worker = spawn("nvisy-worker", &synced.app.deployment, &settings);
    let run = synced.ended(&run).await;
    drop(worker);
    run
}

/// Starts a sync through an API that is killed meanwhile, and again through another one with the same key: one run.
async fn start_while_the_api_is_killed(synced: &Synced, key: &str) -> String {
    let (mut api, url) = start_second_api(&synced.app, &SETTINGS).await;
    let path = synced.path(&format!("pipelines/{}/runs", synced.pipeline));
    let start = |request: reqwest::RequestBuilder| {
        request.bearer_auth(&synced.ada.token).header("idempotency-key", key).json(&json!({})).send()
    };
    let pending = tokio::spawn(start(synced.app.request_to(&url, Method::POST, &path)));
    api.kill().await.expect("a killed API");
    // With a response or without one.
    let _ = pending.await.expect("the request ends");
    wait_until("the sync is started", async || {
        let response = start(synced.app.request(Method::POST, &path)).await.ok()?;
        let is_accepted = response.status() == 202;
        let run: Value = response.json().await.ok()?;
        is_accepted.then(|| run["id"].as_str().unwrap().to_owned())
    })
    .await
}

/// The run; `None` while a server is away.
async fn find(synced: &Synced, run: &str) -> Option<Value> {
    let response = synced.app.get(&synced.ada, &synced.path(&format!("runs/{run}"))).await;
    (response.status == 200).then(|| response.expect(200))
}

/// A sync of so many objects and deletions, during which everything is killed; returns the run.
async fn sync_while_everything_is_killed(synced: &Synced, servers: &TestServers, key: &str, total: usize) -> Value {
    let run = start_while_the_api_is_killed(synced, key).await;
    let start = || -> Child { spawn("nvisy-worker", &synced.app.deployment, &SETTINGS) };
    let mut workers = [start(), start()];
    let rounds = ["worker", "postgres", "nats", "worker", "nats", "postgres", "worker"];
    for (round, killed) in (1..).zip(rounds) {
        let enough = (total * round / (rounds.len() + 1)) as i64;
        wait_until("some objects are done", async || {
            let run = find(synced, &run).await?;
            let done = ["new", "changed", "unchanged", "deleted"].map(|name| run["sync"][name].as_i64().unwrap_or(0));
            (done.iter().sum::<i64>() >= enough || run["finishedAt"].is_string()).then_some(())
        })
        .await;
        match killed {
            "worker" => {
                let worker = &mut workers[round % 2];
                worker.kill().await.expect("a killed worker");
                *worker = start();
            }
            server => {
                servers.kill(if server == "nats" { Server::Nats } else { Server::Postgres });
                servers.restart_killed();
            }
        }
    }
    let ended =
        wait_until("the sync has ended", async || find(synced, &run).await.filter(|run| run["finishedAt"].is_string()))
            .await;
    synced.app.wait_until_no_jobs_are_left().await;
    ended
}

/// Every object has one file with its content, once in the collection, and no other file is left.
async fn assert_equal(synced: &Synced, objects: &BTreeMap<String, String>) {
    let files = synced.files().await;
    let found: Vec<_> = files.iter().map(|file| file["externalId"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<_> = objects.keys().map(|key| format!("docs/{key}")).collect();
    assert_eq!(found, expected);
    for (file, content) in files.iter().zip(objects.values()) {
        assert_eq!((&file["state"], &file["size"]), (&json!("ready"), &json!(content.len())), "{file}");
        let chunks = synced.app.chunks(file["id"].as_str().unwrap()).await;
        let text: String = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
        assert_eq!(text.trim(), content.trim(), "{file}");
    }
    assert_eq!(synced.app.count("chunk").await, i64::try_from(objects.len()).unwrap());
    assert_eq!(synced.app.count("dead_job").await, 0);
}

#[actix_web::test]
async fn files_equal_objects_after_everything_is_killed_in_two_syncs() {
    let objects_at_first = object_count();
    let servers = TestServers::start();
    let store = SeaweedFs::start().await;
    let mut objects = BTreeMap::new();
    for at in 0..objects_at_first {
        let (key, text) = (format!("dir{}/{at:04}.txt", at % 7), content(at, 1));
        store.put(&key, text.clone()).await;
        objects.insert(key, text);
    }
    let deployment = TestDeployment::on(&servers.database_url, &servers.nats_url).await;
    let app = TestApp::start_in(deployment, &SETTINGS).await;
    let synced = Synced::of(app, "s3", store.s3_settings(), s3_credentials(), json!({})).await;
    let run = sync_while_everything_is_killed(&synced, &servers, "first", objects_at_first).await;
    let all = i64::try_from(objects_at_first).unwrap();
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [all, all, 0, 0, 0, 0]), "{run}");
    assert_equal(&synced, &objects).await;

    // A tenth is deleted, and a tenth changes.
    for at in (0..objects_at_first).step_by(5) {
        let key = format!("dir{}/{at:04}.txt", at % 7);
        if at % 2 == 0 {
            store.delete(&key).await;
            objects.remove(&key);
        } else {
            store.put(&key, content(at, 2)).await;
            objects.insert(key, content(at, 2));
        }
    }
    for at in objects_at_first..objects_at_first + NEW {
        let (key, text) = (format!("new/{at:04}.txt"), content(at, 1));
        store.put(&key, text.clone()).await;
        objects.insert(key, text);
    }
    let run = sync_while_everything_is_killed(&synced, &servers, "second", objects_at_first + NEW).await;
    let (tenth, new) = (all / 10, NEW as i64);
    let expected = [all - tenth + new, new, tenth, all - 2 * tenth, tenth, 0];
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), expected), "{run}");
    assert_equal(&synced, &objects).await;
    let runs = synced.app.get(&synced.ada, &synced.path("runs")).await.expect(200);
    assert_eq!(runs["items"].as_array().unwrap().len(), 2, "each request to start has one run: {runs}");
    synced.app.stop().await;
}
