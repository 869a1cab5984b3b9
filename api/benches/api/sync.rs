//! `just bench-sync`: a sync of small objects as a share of the bare client's listing and reading, a second sync without changes, and
//! the memory of the worker.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use nvisy_shared::{id::WorkspaceId, platform::Platform, store};
use nvisy_worker::{
    connectors::{ListRequest, OpenConnection, Source, table::open_source},
    context::Context,
};
use serde_json::json;

use crate::support::{
    TestApp,
    object_store::{SeaweedFs, s3_credentials},
    program, send, spawn,
    synced::{LOOPBACK, Synced},
};

/// As many objects as the first argument says, otherwise this many.
const OBJECTS: usize = 5_000;
/// Objects that the bare client reads at the same time: as many as the jobs of a worker.
const PARALLEL_READS: usize = 16;
const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");

#[actix_web::main]
pub async fn run() {
    let objects = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(OBJECTS);
    let store = SeaweedFs::start().await;
    stream::iter(0..objects)
        .for_each_concurrent(PARALLEL_READS, |at| {
            let store = &store;
            async move { store.put(&format!("d{}/{at}.txt", at % 100), format!("Reading {at} of the gauge.")).await }
        })
        .await;
    let app = TestApp::start_with(&[LOCAL, LOOPBACK]).await;
    // Nothing is behind the source, so that the sync itself is measured.
    let synced = Synced::of(app, "s3", store.s3_settings(), s3_credentials(), json!({ "deletions": "delete" })).await;
    let filter = json!({ "nodes": [
        { "id": "in", "type": "source.connection", "connection": synced.connection },
        { "id": "none", "type": "filter", "expression": "false" }, { "id": "read", "type": "partition" },
        { "id": "out", "type": "sink.file" } ], "schemaVersion": 1,
        "edges": [{ "from": "in", "to": "none" }, { "from": "none", "to": "read" }, { "from": "read", "to": "out" }] });
    let path = synced.path(&format!("pipelines/{}", synced.pipeline));
    let request = synced.app.request(reqwest::Method::PATCH, &path).bearer_auth(&synced.ada.token);
    send(request.json(&json!({ "definition": filter }))).await.expect(200);

    let (listed, read) = bare(&synced, objects).await;
    let worker = spawn("nvisy-worker", &synced.app.deployment, &[LOCAL, LOOPBACK]);
    let pid = worker.id().unwrap();
    let first = time(&synced).await;
    let after_first = memory(pid, "VmHWM");
    let second = time(&synced).await;
    println!("bare listing                 {objects} objects in {listed:.2?}");
    println!("bare listing and reading     {:.2?}", listed + read);
    println!("first sync                   {first:.2?}, with files, versions, items and events in the database");
    println!(
        "ratio                        {:6.2}  (target: at least 0.70)",
        (listed + read).as_secs_f64() / first.as_secs_f64()
    );
    println!(
        "second sync, without change  {second:.2?}: {:.2} times the bare listing",
        second.as_secs_f64() / listed.as_secs_f64()
    );
    println!(
        "peak memory of the worker    {after_first:6.1} MB after the first, {:6.1} MB after the second",
        memory(pid, "VmHWM")
    );
    drop(worker);
    synced.app.stop_and_drop_jobs().await;
}

async fn time(synced: &Synced) -> Duration {
    let began = Instant::now();
    let run = synced.sync().await;
    assert_eq!(run["state"], "completed", "{run}");
    began.elapsed()
}

/// Lists and reads everything with the client of the connection alone.
async fn bare(synced: &Synced, objects: usize) -> (Duration, Duration) {
    let platform = Platform::open(synced.app.config().clone()).await.unwrap();
    let cx = Context::new(platform, program("nvisy-worker"), None);
    let workspace = WorkspaceId(synced.workspace.parse().unwrap());
    let row = store::connection::find(&cx.db, workspace, synced.connection.parse::<uuid::Uuid>().unwrap().into()).await;
    let connection = OpenConnection::open(&cx, workspace, row.unwrap().unwrap()).unwrap();
    let source = open_source(&cx, &connection).unwrap();
    let began = Instant::now();
    let mut listing = source.list(ListRequest { stream: json!({}), ..ListRequest::default() }).await.unwrap();
    let mut all = Vec::new();
    loop {
        let page = listing.next().await.unwrap();
        all.extend(page.objects);
        if page.checkpoint.is_none() {
            break;
        }
    }
    let listed = began.elapsed();
    assert_eq!(all.len(), objects);
    let began = Instant::now();
    stream::iter(all)
        .for_each_concurrent(PARALLEL_READS, |object| {
            let source: &dyn Source = &*source;
            async move {
                let content = source.fetch(&object).await.unwrap().content;
                content.try_for_each(async |_| Ok(())).await.unwrap();
            }
        })
        .await;
    (listed, began.elapsed())
}

/// A memory figure of the process, in MB.
fn memory(pid: u32, which: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1000.0
}
