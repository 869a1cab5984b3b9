//! The memory of a worker while it syncs few and many objects, and the downloads of a sync without changes.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    generated_store::GeneratedStore,
    measured_sync::{MeasuredSync, argument, list},
    memory,
};
use crate::support::synced::counts;

const FEW: u64 = 1_000;
/// As many objects as the first argument says, otherwise this many.
const MANY: u64 = 100_000;
const OBJECT_BYTES: u64 = 64;

#[actix_web::main]
pub async fn run() {
    let few = measure(FEW).await;
    let many = measure(argument(MANY)).await;
    println!("peak memory of a worker, {:.2} times that with few objects  (target: at most 1.10)", many / few);
}

/// Syncs so many objects twice; returns the peak memory of the worker, which has done nothing else.
async fn measure(objects: u64) -> f64 {
    let store = GeneratedStore::start();
    let measured = MeasuredSync::start("s3", store.settings(), Value::Null, &json!({})).await;
    let (worker, worker_id) = measured.spawn_worker();
    // Of an empty store: afterwards the worker is ready.
    measured.sync().await;
    store.set(objects, OBJECT_BYTES);

    let source = measured.source().await;
    let mut names = 0;
    let bare = list(&*source, json!({}), |page| names += page.len() as u64).await;
    assert_eq!(names, objects);

    let all = i64::try_from(objects).unwrap();
    store.take_requests();
    let (run, first) = measured.sync().await;
    assert_eq!(counts(&run), [all, all, 0, 0, 0, 0], "{run}");
    let (after_first, of_first) = (memory::peak(worker_id), store.take_requests());
    let (run, second) = measured.sync().await;
    assert_eq!(counts(&run), [all, 0, 0, all, 0, 0], "{run}");
    let (peak, of_second) = (memory::peak(worker_id), store.take_requests());

    let per_object = |took: Duration| took.as_secs_f64() * 1e3 / objects as f64;
    println!("{objects} generated objects");
    println!("  bare listing                 {bare:.2?}, {:.3} ms for each object", per_object(bare));
    println!(
        "  first sync                   {first:.2?}, {:.3} ms for each object; {} listings, {} downloads",
        per_object(first),
        of_first.listings,
        of_first.reads
    );
    println!(
        "  second sync, without change  {second:.2?}, {:.3} ms for each object: {:.2} times the bare listing; {} listings, {} downloads  \
         (target: 0)",
        per_object(second),
        second.as_secs_f64() / bare.as_secs_f64(),
        of_second.listings,
        of_second.reads
    );
    println!("  peak memory of the worker    {after_first:.1} MB after the first sync, {peak:.1} MB after the second");
    drop(worker);
    measured.stop().await;
    peak
}
