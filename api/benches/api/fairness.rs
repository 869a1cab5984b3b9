//! `just bench-fairness`: how long a file of one chunk waits behind one of 13,000, and the throughput meanwhile.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{TestAccount, TestApp, part, spawn};

const LOCAL: [(&str, &str); 2] = [("NVISY_EMBEDDING_PROVIDER", "local"), ("NVISY_EMBEDDING_THREADS", "0")];
const LONG_CHUNKS: i64 = 13_000;
const SHORT_FILES: usize = 20;
/// The time over which throughput is counted.
const WINDOW: Duration = Duration::from_secs(40);
/// Polling costs what the worker could use.
const POLL: Duration = Duration::from_millis(100);

#[actix_web::main]
pub async fn run() {
    let app = TestApp::start_with(&LOCAL).await;
    let ada = app.create_account("ada").await;
    let same = app.create_workspace(&ada, "Long").await;
    let other = app.create_workspace(&ada, "Short").await;
    let worker = spawn("nvisy-worker", &app.deployment, &LOCAL);
    wait(&app, &ada, &other, "warm up").await;
    println!("a file of one chunk, idle system: {:?}", wait(&app, &ada, &other, "alone").await);

    app.upload(&ada, &same, vec![part("long.txt", long_text())]).await.expect(202);
    until(async || app.count("embedding").await > 100).await;
    let alone = throughput(&app, async || tokio::time::sleep(WINDOW).await).await;
    let chunks: i64 =
        app.rows("select max(total)::bigint as total from run_item").await[0].try_get("", "total").unwrap();
    println!("behind a file of {chunks} chunks, {SHORT_FILES} times each");
    assert!(chunks >= LONG_CHUNKS, "the long file has only {chunks} chunks");
    let (mut in_other, mut in_same) = (Vec::new(), Vec::new());
    let beside = throughput(&app, async || {
        for n in 0..SHORT_FILES {
            in_other.push(wait(&app, &ada, &other, &format!("other {n}")).await);
            in_same.push(wait(&app, &ada, &same, &format!("same {n}")).await);
        }
    })
    .await;
    report("in another workspace", in_other, "2 s");
    report("in the same workspace", in_same, "3 s");
    println!(
        "  chunks/s alone {alone:.1}, with the short files between {beside:.1}: {:.2}  (target: at least 0.95)",
        beside / alone
    );
    drop(worker);
    app.stop_and_drop_jobs().await;
}

/// Prose of a few more chunks than the bench needs.
fn long_text() -> String {
    let sentence = |n: usize| {
        format!(
            "Reading {n}: the water at gauge {} stood at {} centimetres when the tide turned. ",
            n % 40,
            (n * 37) % 911
        )
    };
    (0..LONG_CHUNKS as usize * 12).map(|n| sentence(n) + if n % 20 == 0 { "\n\n" } else { "" }).collect()
}

/// The time from the response to the upload until the file is ready.
async fn wait(app: &TestApp, ada: &TestAccount, workspace: &str, text: &str) -> Duration {
    let text = format!("The seal of {text} was replaced in May.");
    let accepted = app.upload(ada, workspace, vec![part("short.txt", text)]).await.expect(202);
    let (began, id) = (Instant::now(), accepted["items"][0]["id"].as_str().unwrap().to_owned());
    until(async || app.file(ada, workspace, &id).await["state"] == json!("ready")).await;
    began.elapsed()
}

async fn until(condition: impl AsyncFn() -> bool) {
    while !condition().await {
        tokio::time::sleep(POLL).await;
    }
}

/// Vectors written in a second while the work is done.
async fn throughput(app: &TestApp, work: impl AsyncFnOnce()) -> f64 {
    let (before, began) = (app.count("embedding").await, Instant::now());
    work().await;
    (app.count("embedding").await - before) as f64 / began.elapsed().as_secs_f64()
}

fn report(name: &str, mut times: Vec<Duration>, target: &str) {
    times.sort();
    println!("  {name}: p50 {:?}, longest {:?}  (target: {target})", times[times.len() / 2], times[times.len() - 1]);
}
