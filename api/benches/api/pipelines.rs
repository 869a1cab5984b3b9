//! `just bench-pipelines`: the CPU time of a worker for each item and node of graphs that do nothing, the speed of one and of four
//! workers with a service that takes its time, and the memory of a worker and the wait of an upload during runs of many items.
//! An argument is the number of items of the longest run.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use nvisy_shared::store::Conn as _;

use crate::support::{ModelServer, TestAccount, TestApp, model_response, part, send, spawn};

const ITEMS: usize = 1_000;
const FILES_OF_UPLOAD: usize = 100;
/// Items that call a service, one after the other in each worker: with more slots, workers would wait for the processors of a small
/// machine, not for the service.
const CALLS: usize = 1_000;
/// The time that a call of the service takes.
const CALL_TIME: Duration = Duration::from_millis(50);
/// Nodes between the source and the sink.
const NODES: [usize; 3] = [1, 5, 20];
/// The items of runs whose memory is compared; the second number can be given.
const MANY: [usize; 2] = [10_000, 100_000];
/// Uploads during such a run.
const UPLOADS: usize = 20;

#[actix_web::main]
pub async fn run() {
    let app = TestApp::start_with(&[]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let path = format!("/api/v1/workspaces/{workspace}");
    let list = app.get(&ada, &format!("{path}/pipelines")).await.expect(200);
    set_state(&app, &ada, &format!("{path}/pipelines/{}", list["items"][0]["id"].as_str().unwrap()), "disabled").await;
    for upload in 0..ITEMS / FILES_OF_UPLOAD {
        let name = |n: usize| format!("{}.txt", upload * FILES_OF_UPLOAD + n);
        let parts = (0..FILES_OF_UPLOAD).map(|n| part(&name(n), name(n))).collect();
        app.upload(&ada, &workspace, parts).await.expect(202);
    }
    let worker = spawn("nvisy-worker", &app.deployment, &[]);
    let worker_id = worker.id().expect("a worker that runs");
    run_filters(&app, &ada, &path, 1).await;
    println!("{ITEMS} items through a source, filters that hold, and a sink that nothing reaches");
    let mut before = None;
    for nodes in NODES {
        let (cpu, began) = (cpu_time(worker_id), Instant::now());
        run_filters(&app, &ada, &path, nodes).await;
        let (cpu, took) = (cpu_time(worker_id) - cpu, began.elapsed());
        let per_item = cpu.as_secs_f64() * 1e3 / ITEMS as f64;
        print!("  {nodes:2} nodes  worker CPU {per_item:.2} ms/item, {:.3} ms/item and node", per_item / nodes as f64);
        if let Some((fewer, cheaper)) = before {
            print!(", each further node {:.4} ms", (per_item - cheaper) / (nodes - fewer) as f64);
        }
        println!("; {:.0} items/s  (target: under 1 ms/item and node)", ITEMS as f64 / took.as_secs_f64());
        before = Some((nodes, per_item));
    }
    drop(worker);
    services(&app, &ada, &path).await;
    let worker = spawn("nvisy-worker", &app.deployment, &[]);
    many(&app, &ada, &path, worker.id().expect("a worker that runs")).await;
    app.stop().await;
}

/// Runs of more and more items: the peak memory of the worker, and how long an upload waits meanwhile.
async fn many(app: &TestApp, ada: &TestAccount, path: &str, worker: u32) {
    println!("a run of many items through one filter");
    let mut fewer: Option<f64> = None;
    let most = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(MANY[1]);
    for items in [MANY[0], most] {
        seed(app, items).await;
        reset_peak_memory(worker);
        let began = Instant::now();
        let filter = json!({ "id": "none", "type": "filter", "expression": "file.size < 0" });
        let (run, waits) =
            tokio::join!(run_nodes(app, ada, path, items, vec![filter]), waits_of_uploads(app, ada, path));
        let (took, peak) = (began.elapsed(), peak_memory(worker));
        print!("  {run:7} items  peak memory of the worker {peak:.1} MB");
        if let Some(fewer) = fewer {
            print!(", {:.2} times that of fewer  (target: at most 1.1)", peak / fewer);
        }
        println!(
            "; {:.0} items/s; an upload waits {waits:.2} s at most  (target: 2 s)",
            run as f64 / took.as_secs_f64()
        );
        fewer = Some(peak);
    }
}

/// The longest time from upload to ready of some files while other work is in progress.
async fn waits_of_uploads(app: &TestApp, ada: &TestAccount, path: &str) -> f64 {
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "upload" }, { "id": "read", "type": "partition" },
        { "id": "out", "type": "sink.file", "suffix": ".copy" },
    ]);
    let edges = json!([{ "from": "in", "to": "read" }, { "from": "read", "to": "out" }]);
    let definition = json!({ "schemaVersion": 1, "nodes": nodes, "edges": edges });
    let body = json!({ "name": format!("uploads {}", nvisy_shared::id::new()), "definition": definition });
    let created = app.post(ada, &format!("{path}/pipelines"), &body).await.expect(201);
    let pipeline = format!("{path}/pipelines/{}", created["id"].as_str().unwrap());
    set_state(app, ada, &pipeline, "enabled").await;
    let workspace = path.rsplit('/').next().unwrap();
    let mut longest = Duration::ZERO;
    for n in 0..UPLOADS {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let text = format!("An upload among many others: {n}, {}", nvisy_shared::id::new());
        let began = Instant::now();
        let accepted = app.upload(ada, workspace, vec![part("among.txt", text)]).await.expect(202);
        app.finished_file(ada, workspace, accepted["items"][0]["id"].as_str().unwrap()).await;
        longest = longest.max(began.elapsed());
    }
    set_state(app, ada, &pipeline, "disabled").await;
    longest.as_secs_f64()
}

/// Adds files with the content of one that is there, up to a number, without the API: only runs are measured.
async fn seed(app: &TestApp, files: usize) {
    let sql = format!(
        "with one as (select f.workspace_id, f.created_by, v.blob_id, v.bytes, v.sha256, v.media_type
             from file f join file_version v on v.workspace_id = f.workspace_id and v.id = f.version_id
             order by f.id limit 1),
         ids as materialized (select uuidv7() as file, uuidv7() as version, n from generate_series(1, {files} - (select count(*) from file)) n),
         files as (insert into file (workspace_id, id, name, version_id, created_by)
             select workspace_id, file, 'seeded ' || n || '.txt', version, created_by from one, ids)
         insert into file_version (workspace_id, id, file_id, number, blob_id, bytes, sha256, media_type, state, chunk_count)
         select workspace_id, version, file, 1, blob_id, bytes, sha256, media_type, 'ready', 0 from one, ids"
    );
    app.db.execute_unprepared(&sql).await.unwrap();
}

/// The highest resident memory of a process since the last reset, in megabytes.
fn peak_memory(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn reset_peak_memory(process: u32) {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
}

/// The same items through an `http` step, with one and with four workers.
async fn services(app: &TestApp, ada: &TestAccount, path: &str) {
    let service = slow_service().await;
    println!("{CALLS} items through an `http` step that takes {} ms", CALL_TIME.as_millis());
    let mut alone = None;
    for workers in [1, 4] {
        let settings = [("NVISY_OUTBOUND_ALLOWED_NETWORKS", "127.0.0.0/8"), ("NVISY_WORKER_MODEL_SLOTS", "1")];
        let workers: Vec<_> = (0..workers).map(|_| spawn("nvisy-worker", &app.deployment, &settings)).collect();
        let step = json!({ "id": "step", "type": "http", "url": service.base_url });
        let record = json!({ "id": "record", "type": "map", "record": "{'name': file.name}" });
        let nothing = json!({ "id": "none", "type": "filter", "expression": "false" });
        let nodes = vec![record, step, nothing];
        // Until all workers have begun.
        run_nodes(app, ada, path, 20 * workers.len(), nodes.clone()).await;
        let began = Instant::now();
        run_nodes(app, ada, path, CALLS, nodes).await;
        let speed = CALLS as f64 / began.elapsed().as_secs_f64();
        print!("  {} workers  {speed:.0} items/s", workers.len());
        match alone {
            None => println!(),
            Some(alone) => println!(", {:.2} times  (target: at least 3.5)", speed / alone),
        }
        alone = Some(speed);
    }
}

/// A service that responds to each request after some time.
async fn slow_service() -> ModelServer {
    let server = ModelServer::start().await;
    server.answer_after(CALL_TIME);
    let body = json!({ "items": [{ "id": "0" }] }).to_string();
    server.respond(move |_| model_response("200", "content-type: application/json\r\n", &body));
    server
}

/// Runs all files through so many filters, and waits for the end.
async fn run_filters(app: &TestApp, ada: &TestAccount, path: &str, nodes: usize) {
    let filter = |n| {
        let expression = if n + 1 == nodes { "file.size < 0" } else { "file.size > 0" };
        json!({ "id": format!("n{n}"), "type": "filter", "expression": expression })
    };
    run_nodes(app, ada, path, ITEMS, (0..nodes).map(filter).collect()).await;
}

/// Runs so many files through these nodes, one after the other, and waits for the end; returns the number of items.
async fn run_nodes(app: &TestApp, ada: &TestAccount, path: &str, limit: usize, nodes: Vec<Value>) -> u64 {
    let mut all = vec![json!({ "id": "in", "type": "source.files", "trigger": "manual" })];
    let count = nodes.len();
    all.extend(nodes);
    all.push(json!({ "id": "out", "type": "sink.file", "suffix": ".txt" }));
    let edges: Vec<Value> = all.windows(2).map(|pair| json!({ "from": pair[0]["id"], "to": pair[1]["id"] })).collect();
    let definition = json!({ "schemaVersion": 1, "nodes": all, "edges": edges });
    let name = format!("{count} nodes {}", nvisy_shared::id::new());
    let body = json!({ "name": name, "definition": definition });
    let created = app.post(ada, &format!("{path}/pipelines"), &body).await.expect(201);
    let pipeline = format!("{path}/pipelines/{}", created["id"].as_str().unwrap());
    set_state(app, ada, &pipeline, "enabled").await;
    let started = app.post(ada, &format!("{pipeline}/runs"), &json!({ "limit": limit })).await.expect(202);
    let run = format!("{path}/runs/{}", started["id"].as_str().unwrap());
    loop {
        let run = app.get(ada, &run).await.expect(200);
        match run["state"].as_str() {
            Some("queued" | "running") => tokio::time::sleep(Duration::from_millis(50)).await,
            state => {
                assert_eq!(state, Some("completed"), "{run}");
                return run["items"].as_u64().unwrap();
            }
        }
    }
}

async fn set_state(app: &TestApp, ada: &TestAccount, path: &str, state: &str) {
    let request = app.request(Method::PATCH, path).bearer_auth(&ada.token);
    send(request.json(&json!({ "state": state }))).await.expect(200);
}

/// User and system time of a process.
fn cpu_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name, in brackets, may have spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
