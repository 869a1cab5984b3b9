//! A large object on its way from a store into the object store: throughput, and the memory of the worker.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use serde_json::{Value, json};

use super::{
    generated_store::{GeneratedStore, content},
    measured_sync::{MeasuredSync, argument, list},
    memory,
};
use crate::support::synced::counts;

/// The size in MB, unless the first argument says another.
const MEGABYTES: u64 = 5_000;
const SMALL_BYTES: u64 = 1_000;
/// Bytes that the bare object store takes: fewer, so that it has room for both.
const BARE_BYTES: u64 = 1_000_000_000;

#[actix_web::main]
pub async fn run() {
    let bytes = argument(MEGABYTES) * 1_000_000;
    let store = GeneratedStore::start();
    // Larger than the limit of uploads, which a source has without a setting of its own.
    let source = json!({ "maxBytes": bytes.max(SMALL_BYTES) });
    let measured = MeasuredSync::start("s3", store.settings(), Value::Null, &source).await;
    let (worker, worker_id) = measured.spawn_worker();
    // With a small object, so that every part of the worker has been used once.
    store.set(1, SMALL_BYTES);
    measured.sync().await;

    store.set(1, bytes);
    let read = read_bare(&measured, bytes).await;
    let bare_bytes = bytes.min(BARE_BYTES);
    let put = measured.synced.app.deployment.time_bare_put(content(0, bare_bytes)).await;
    let idle = memory::resident(worker_id);
    memory::reset_peak(worker_id);
    let (run, took) = measured.sync().await;
    assert_eq!(counts(&run), [1, 0, 1, 0, 0, 0], "{run}");
    let peak = memory::peak(worker_id);
    let stored = measured.synced.files().await;
    assert_eq!(stored[0]["size"], bytes, "{stored:?}");

    let rate = |bytes: u64, took: Duration| bytes as f64 / 1e6 / took.as_secs_f64();
    println!("an object of {} MB", bytes / 1_000_000);
    println!("  bare client of the source    {:.1} MB/s", rate(bytes, read));
    println!("  bare object store            {:.1} MB/s, not encrypted", rate(bare_bytes, put));
    println!("  sync                         {:.1} MB/s, hashed and encrypted", rate(bytes, took));
    let one_after_the_other = read.as_secs_f64() + put.as_secs_f64() * bytes as f64 / bare_bytes as f64;
    println!("  compared with both           {:.2} of reading and storing", one_after_the_other / took.as_secs_f64());
    println!("  peak memory of the worker    {peak:.1} MB, {:.1} MB above idle", peak - idle);
    drop(worker);
    measured.stop().await;
}

/// How long the client of the connection alone reads the object.
async fn read_bare(measured: &MeasuredSync, bytes: u64) -> Duration {
    let source = measured.source().await;
    let mut objects = Vec::new();
    list(&*source, json!({}), |page| objects.extend(page)).await;
    let began = Instant::now();
    let content = source.fetch(&objects[0]).await.unwrap().content;
    let read = content.try_fold(0_u64, async |read, part| Ok(read + part.len() as u64)).await.unwrap();
    assert_eq!(read, bytes);
    began.elapsed()
}
