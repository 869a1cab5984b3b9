//! Workers are killed at random during syncs: the files equal the objects in the end, each of them once.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::{
    TestApp,
    object_store::{SeaweedFs, s3_credentials},
    spawn,
    synced::{LOOPBACK, Synced, counts},
};

pub const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");
/// A killed worker's jobs wait this long.
pub const LEASE: (&str, &str) = ("NVISY_QUEUE_LEASE_SECONDS", "2");
const OBJECTS: usize = 300;

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
async fn files_equal_objects_after_workers_are_killed_in_two_syncs() {
    let store = SeaweedFs::start().await;
    let mut objects = BTreeMap::new();
    for at in 0..OBJECTS {
        let (key, text) = (format!("dir{}/{at:03}.txt", at % 7), content(at, 1));
        store.put(&key, text.clone()).await;
        objects.insert(key, text);
    }
    let app = TestApp::start_with(&[LOCAL, LEASE, LOOPBACK]).await;
    let synced = Synced::of(app, "s3", store.s3_settings(), s3_credentials(), json!({})).await;
    let run = sync_under_fire(&synced, 4).await;
    let all = i64::try_from(OBJECTS).unwrap();
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [all, all, 0, 0, 0, 0]), "{run}");
    assert_equal(&synced, &objects).await;

    for at in (0..OBJECTS).step_by(5) {
        let key = format!("dir{}/{at:03}.txt", at % 7);
        if at % 2 == 0 {
            store.delete(&key).await;
            objects.remove(&key);
        } else {
            store.put(&key, content(at, 2)).await;
            objects.insert(key, content(at, 2));
        }
    }
    for at in OBJECTS..OBJECTS + 20 {
        let (key, text) = (format!("new/{at:03}.txt"), content(at, 1));
        store.put(&key, text.clone()).await;
        objects.insert(key, text);
    }
    let run = sync_under_fire(&synced, 4).await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [all - 10, 20, 30, all - 60, 30, 0]), "{run}");
    assert_equal(&synced, &objects).await;
    synced.app.stop().await;
}
