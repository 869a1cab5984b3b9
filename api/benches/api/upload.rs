//! `just bench-upload`: the throughput of a large upload as a share of the bare object store, and its memory.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{Body, Method};
use tokio::process::Command;

use crate::support::{TestApp, free_port, program, wait_until};

const UPLOAD_BYTES: u64 = 1 << 30;
const CHUNK_BYTES: usize = 256 * 1024;

#[actix_web::main]
pub async fn run() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Bench").await;
    let address = format!("127.0.0.1:{}", free_port());
    let (url, settings) = (format!("http://{address}"), [("NVISY_HTTP_ADDRESS", address.as_str())]);
    let began = Instant::now();
    let server = Command::new(program("nvisy-api"))
        .env_clear()
        .envs(app.deployment.variables(&settings))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    wait_until("the API is ready", async || {
        app.request_to(&url, Method::GET, "/health/ready").send().await.ok().filter(|response| response.status() == 200)
    })
    .await;
    println!("API ready after {:?}  (target: 2 s, on a migrated database, without a model)", began.elapsed());
    let pid = server.id().unwrap();
    let idle = memory(pid, "VmRSS");
    println!("API idle             {idle:6.1} MB  (target: under 60, without a model)");

    let bare = app.deployment.time_bare_put(noise()).await;
    let request = app.request_to(&url, Method::POST, &format!("/api/v1/workspaces/{workspace}/files"));
    let head = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"large.bin\"\r\n\r\n";
    let body = stream::iter([Bytes::from_static(head.as_bytes())])
        .chain(noise())
        .chain(stream::iter([Bytes::from_static(b"\r\n--x--\r\n")]));
    let request = request.bearer_auth(&ada.token).header("content-type", "multipart/form-data; boundary=x");
    let began = Instant::now();
    let response = request.body(Body::wrap_stream(body.map(Ok::<_, std::io::Error>))).send().await.unwrap();
    let took = began.elapsed();
    assert_eq!(response.status(), 202);
    let peak = memory(pid, "VmHWM");

    let rate = |took: Duration| (UPLOAD_BYTES >> 20) as f64 / took.as_secs_f64();
    println!("bare object store    {:6.1} MiB/s", rate(bare));
    println!("upload over HTTP     {:6.1} MiB/s, encrypted", rate(took));
    println!("ratio                {:6.2}  (target: at least 0.50)", rate(took) / rate(bare));
    println!("API peak above idle  {:6.1} MB  (target: at most 64)", peak - idle);
    drop(server);
    app.stop_and_drop_jobs().await;
}

/// Incompressible bytes.
fn noise() -> impl futures::Stream<Item = Bytes> + Send + Unpin {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(CHUNK_BYTES / 8)
    .flatten()
    .collect();
    stream::iter(std::iter::repeat_n(Bytes::from(noise), usize::try_from(UPLOAD_BYTES).unwrap() / CHUNK_BYTES))
}

/// A memory figure of the process, in MB.
fn memory(pid: u32, which: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1000.0
}
