//! A store of small objects: the source compared with a bare client, and a sync compared with both.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use nvisy_worker::connectors::{DynSource, ListedObject};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    bare_store::BareStore,
    cpu::{self, CpuTimes},
    measured_sync::{MeasuredSync, argument, list},
    memory,
};
use crate::support::{object_store::SeaweedFs, synced::counts};

/// As many objects as the first argument says, otherwise this many.
const OBJECTS: i64 = 5_000;
/// Objects that a client reads at the same time: as many as the jobs of a worker.
const PARALLEL_READS: usize = 16;
/// Rounds of which the fastest counts: the clients take turns.
const ROUNDS: usize = 3;
/// The limit of a source, which counts what it reads.
const MAX_OBJECT_BYTES: u64 = 2 << 30;

#[actix_web::main]
pub async fn run() {
    let objects = argument(OBJECTS);
    let store = SeaweedFs::start_public().await;
    let measured = MeasuredSync::start("s3", store.s3_settings(), Value::Null, &json!({})).await;
    let (worker, worker_id) = measured.spawn_worker();
    // Of an empty store: afterwards the worker is ready.
    measured.sync().await;
    stream::iter(0..objects)
        .for_each_concurrent(PARALLEL_READS, |at| {
            let store = &store;
            async move { store.put(&format!("d{}/{at}.txt", at % 100), format!("Reading {at} of the gauge.")).await }
        })
        .await;

    let (bare, source) = (BareStore::new(&store.s3), measured.source().await);
    let (mut of_bare, mut of_source) = (Fastest::default(), Fastest::default());
    for _ in 0..ROUNDS {
        of_bare.take(read_bare(&bare, objects).await);
        of_source.take(read_source(&*source, objects).await);
    }
    let before = CpuTimes::now(&measured.db, worker_id).await;
    let (run, first) = measured.sync().await;
    assert_eq!(counts(&run), [objects, objects, 0, 0, 0, 0], "{run}");
    let between = CpuTimes::now(&measured.db, worker_id).await;
    let (run, second) = measured.sync().await;
    assert_eq!(counts(&run), [objects, 0, 0, objects, 0, 0], "{run}");
    let after = CpuTimes::now(&measured.db, worker_id).await;

    let per_object = |took: Duration| took.as_secs_f64() * 1e3 / objects as f64;
    let share = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64();
    println!(
        "{objects} small objects of a store of the protocol S3, {PARALLEL_READS} read at a time, without signatures"
    );
    for (name, of) in [("bare client", of_bare), ("source alone", of_source)] {
        println!(
            "  {name:13} listing {:.4} ms for each object (CPU {:.4}), reading {:.4} ms (CPU {:.4})",
            per_object(of.listing.took),
            per_object(of.listing.cpu),
            per_object(of.reading.took),
            per_object(of.reading.cpu)
        );
    }
    println!(
        "  ratio of the source alone    {:.2} of the time, {:.2} of the CPU time  (target: at least 0.70); listing {:.2}, reading {:.2}",
        share(of_bare.took(), of_source.took()),
        share(of_bare.cpu(), of_source.cpu()),
        share(of_bare.listing.took, of_source.listing.took),
        share(of_bare.reading.took, of_source.reading.took)
    );
    println!(
        "  first sync                   {first:.2?}, {:.3} ms for each object, with file, version, item and events: {:.2} of the bare client",
        per_object(first),
        share(of_bare.took(), first)
    );
    println!("                               {}", between.since(before, objects));
    println!(
        "  second sync, without change  {second:.2?}, {:.4} ms for each object: {:.2} times the listing of the bare client, {:.2} times \
         that of the source",
        per_object(second),
        share(second, of_bare.listing.took),
        share(second, of_source.listing.took)
    );
    println!("                               {}", after.since(between, objects));
    println!("  peak memory of the worker    {:.1} MB", memory::peak(worker_id));
    drop(worker);
    measured.stop().await;
}

/// The time of a step: by the clock, and of the processor.
#[derive(Clone, Copy, Debug)]
struct Step {
    took: Duration,
    cpu: Duration,
}

impl Default for Step {
    fn default() -> Self {
        Self { took: Duration::MAX, cpu: Duration::MAX }
    }
}

impl Step {
    /// The lower times.
    fn take(&mut self, other: Self) {
        *self = Self { took: self.took.min(other.took), cpu: self.cpu.min(other.cpu) };
    }
}

/// The fastest round of a client.
#[derive(Clone, Copy, Debug, Default)]
struct Fastest {
    listing: Step,
    reading: Step,
}

impl Fastest {
    fn take(&mut self, [listing, reading]: [Step; 2]) {
        self.listing.take(listing);
        self.reading.take(reading);
    }

    fn took(&self) -> Duration {
        self.listing.took + self.reading.took
    }

    fn cpu(&self) -> Duration {
        self.listing.cpu + self.reading.cpu
    }
}

/// A step of this process: its result, and its time.
async fn timed<T>(step: impl Future<Output = T>) -> (T, Step) {
    let (began, cpu) = (Instant::now(), cpu::own());
    let value = step.await;
    (value, Step { took: began.elapsed(), cpu: cpu::own() - cpu })
}

/// Lists and reads everything with the bare client.
async fn read_bare(store: &BareStore, objects: i64) -> [Step; 2] {
    let (keys, listing) = timed(store.list()).await;
    assert_eq!(i64::try_from(keys.len()).unwrap(), objects);
    let reading = stream::iter(keys).for_each_concurrent(PARALLEL_READS, |key| async move {
        assert!(store.read(&key).await > 0);
    });
    [listing, timed(reading).await.1]
}

/// Lists and reads everything with the source of the connection, as the worker does, which stores nothing of it.
async fn read_source(source: &DynSource, objects: i64) -> [Step; 2] {
    let mut all = Vec::new();
    let (_, listing) = timed(list(source, json!({}), |page| all.extend(page))).await;
    assert_eq!(i64::try_from(all.len()).unwrap(), objects);
    let reading = stream::iter(all).for_each_concurrent(PARALLEL_READS, |object| async move {
        assert!(read(source, &object).await > 0);
    });
    [listing, timed(reading).await.1]
}

/// Reads an object, counts and hashes it.
async fn read(source: &DynSource, object: &ListedObject) -> u64 {
    assert!(object.bytes.is_none_or(|bytes| bytes <= MAX_OBJECT_BYTES));
    let mut content = source.fetch(object).await.unwrap().content;
    let (mut bytes, mut sha256) = (0, Sha256::new());
    while let Some(part) = content.try_next().await.unwrap() {
        bytes += part.len() as u64;
        assert!(bytes <= MAX_OBJECT_BYTES);
        sha256.update(&part);
    }
    black_box(sha256.finalize());
    bytes
}
