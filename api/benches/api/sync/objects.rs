//! A sync of small objects as a share of the bare client's listing and reading, and a second sync without changes.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use nvisy_worker::connectors::DynSource;
use serde_json::json;

use super::{
    measured_sync::{MeasuredSync, argument, list},
    memory,
};
use crate::support::{
    object_store::{SeaweedFs, s3_credentials},
    synced::counts,
};

/// As many objects as the first argument says, otherwise this many.
const OBJECTS: i64 = 5_000;
/// Objects that the bare client reads at the same time: as many as the jobs of a worker.
const PARALLEL_READS: usize = 16;

#[actix_web::main]
pub async fn run() {
    let objects = argument(OBJECTS);
    let store = SeaweedFs::start().await;
    let measured = MeasuredSync::start("s3", store.s3_settings(), s3_credentials(), &json!({})).await;
    let (worker, worker_id) = measured.spawn_worker();
    // Of an empty store: afterwards the worker is ready.
    measured.sync().await;
    stream::iter(0..objects)
        .for_each_concurrent(PARALLEL_READS, |at| {
            let store = &store;
            async move { store.put(&format!("d{}/{at}.txt", at % 100), format!("Reading {at} of the gauge.")).await }
        })
        .await;

    let source = measured.source().await;
    let (listed, read) = list_and_read(&*source, objects).await;
    let bare = (listed + read).as_secs_f64();
    let (run, first) = measured.sync().await;
    assert_eq!(counts(&run), [objects, objects, 0, 0, 0, 0], "{run}");
    let (run, second) = measured.sync().await;
    assert_eq!(counts(&run), [objects, 0, 0, objects, 0, 0], "{run}");
    let per_object = |took: Duration| took.as_secs_f64() * 1e3 / objects as f64;
    println!("{objects} small objects of a store of the protocol S3");
    println!("  bare listing                 {listed:.2?}");
    println!("  bare listing and reading     {bare:.2} s, {:.3} ms for each object", per_object(listed + read));
    println!(
        "  first sync                   {first:.2?}, {:.3} ms for each object, with file, version, item and events",
        per_object(first)
    );
    println!("  ratio                        {:.2}  (target: at least 0.70)", bare / first.as_secs_f64());
    println!(
        "  second sync, without change  {second:.2?}, {:.3} ms for each object: {:.2} times the bare listing",
        per_object(second),
        second.as_secs_f64() / listed.as_secs_f64()
    );
    println!("  peak memory of the worker    {:.1} MB", memory::peak(worker_id));
    drop(worker);
    measured.stop().await;
}

/// Lists and reads everything with the client of the connection alone.
async fn list_and_read(source: &DynSource, objects: i64) -> (Duration, Duration) {
    let mut all = Vec::new();
    let listed = list(source, json!({}), |page| all.extend(page)).await;
    assert_eq!(i64::try_from(all.len()).unwrap(), objects);
    let began = Instant::now();
    stream::iter(all)
        .for_each_concurrent(PARALLEL_READS, |object| async move {
            let content = source.fetch(&object).await.unwrap().content;
            content.try_for_each(async |_| Ok(())).await.unwrap();
        })
        .await;
    (listed, began.elapsed())
}
