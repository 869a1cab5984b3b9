//! `just bench-ingest`: indexing end to end, as a share of the bare embedder's throughput on the same text.
//!
//! Both run in one process with the same threads: on a shared machine only the ratio is meaningful.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use nvisy_embed::{EmbedSettings, Embedder, InputType, LocalSettings, Provider};
use nvisy_extract::Document;
use nvisy_shared::testing::variable;
use nvisy_worker::chunk::{ChunkModel, SectionLimits, by_sections};
use reqwest::{
    Method,
    multipart::{Form, Part},
};

use crate::support::{TestAccount, TestApp, send};

const LOCAL: [(&str, &str); 2] = [("NVISY_EMBEDDING_PROVIDER", "local"), ("NVISY_EMBEDDING_THREADS", "0")];
const FILES: usize = 8;
const FILE_BYTES: usize = 60_000;
const SMALL_FILES: usize = 30;
const BATCH: usize = 32;

#[actix_web::main]
pub async fn run() {
    let texts: Vec<String> = (0..FILES).map(|seed| prose(seed, FILE_BYTES)).collect();
    let (bare_chunks, bare) = bare(&texts).await;
    let (chunks, whole) = end_to_end(&texts).await;
    assert_eq!(bare_chunks, chunks, "both must embed the same chunks");
    let rate = |took: Duration| chunks as f64 / took.as_secs_f64();
    println!("ingest of plain text, {FILES} files of {FILE_BYTES} bytes, {chunks} chunks");
    println!("  bare embedder        {:6.1} chunks/s", rate(bare));
    println!("  HTTP to searchable   {:6.1} chunks/s", rate(whole));
    println!("  ratio                {:6.2}  (target: at least 0.88)", rate(whole) / rate(bare));

    let mut times = small_files().await;
    times.sort();
    println!("202 to searchable, Markdown of 20 KB, idle system, {SMALL_FILES} times");
    println!("  p50 {:?}, p95 {:?}  (target: p95 under 1 s)", times[SMALL_FILES / 2], times[SMALL_FILES * 95 / 100]);
}

/// The number of chunks, and the time that the embedder takes for them in batches of the worker's size.
async fn bare(texts: &[String]) -> (usize, Duration) {
    let settings = EmbedSettings {
        truncatable: false,
        dimensions: None,
        provider: Provider::Local(LocalSettings {
            directory: variable("NVISY_EMBEDDING_DIRECTORY").into(),
            threads: 0,
            query_prefix: String::new(),
            passage_prefix: String::new(),
        }),
    };
    let embedder = Embedder::open(&settings).await.expect("the model: run `just model`");
    let max_tokens = embedder.max_tokens();
    let model = ChunkModel { tokenizer: embedder.tokenizer(), max_tokens, contextual: false };
    let limits = SectionLimits { min_tokens: None, max_tokens, overlap_tokens: 0 };
    let chunks: Vec<String> = texts
        .iter()
        .flat_map(|text| {
            let document = Document { text: text.clone(), ..Document::default() };
            let pieces = by_sections(&document, &model, limits);
            pieces.into_iter().map(|piece| text[piece.bytes].to_owned()).collect::<Vec<_>>()
        })
        .collect();
    embedder.embed(InputType::Passage, chunks[..BATCH].to_vec()).await.expect("vectors");
    let began = Instant::now();
    for batch in chunks.chunks(BATCH) {
        embedder.embed(InputType::Passage, batch.to_vec()).await.expect("vectors");
    }
    (chunks.len(), began.elapsed())
}

async fn end_to_end(texts: &[String]) -> (usize, Duration) {
    let (app, ada, workspace) = start().await;
    let warm = upload(&app, &ada, &workspace, "warm.txt", &prose(99, 5_000)).await;
    wait_until_ready(&app, &ada, &workspace, &warm, Duration::from_millis(100)).await;
    let began = Instant::now();
    let mut files = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        files.push(upload(&app, &ada, &workspace, &format!("{n}.txt"), text).await);
    }
    let mut chunks = 0;
    for file in &files {
        chunks += wait_until_ready(&app, &ada, &workspace, file, Duration::from_millis(100)).await;
    }
    let took = began.elapsed();
    app.stop().await;
    (chunks, took)
}

async fn small_files() -> Vec<Duration> {
    let (app, ada, workspace) = start().await;
    let mut times = Vec::new();
    for seed in 0..=SMALL_FILES {
        let text = format!("# Report {seed}\n\n{}", prose(1000 + seed, 20_000));
        let file = upload(&app, &ada, &workspace, "report.md", &text).await;
        let began = Instant::now();
        // Less than a second is measured.
        wait_until_ready(&app, &ada, &workspace, &file, Duration::from_millis(10)).await;
        times.push(began.elapsed());
    }
    app.stop().await;
    // The first one is the warm-up.
    times.split_off(1)
}

async fn start() -> (TestApp, TestAccount, String) {
    let app = TestApp::start_with_worker(&LOCAL).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Bench").await;
    (app, ada, workspace)
}

async fn upload(app: &TestApp, ada: &TestAccount, workspace: &str, name: &str, text: &str) -> String {
    let form = Form::new().part("file", Part::text(text.to_owned()).file_name(name.to_owned()));
    let request = app.request(Method::POST, &format!("/api/v1/workspaces/{workspace}/files")).bearer_auth(&ada.token);
    let accepted = send(request.multipart(form)).await.expect(202);
    accepted["items"][0]["id"].as_str().unwrap().to_owned()
}

/// Waits until the file is ready, and returns its number of chunks. What asks too often takes time from what is measured: once in
/// ten milliseconds, a fiftieth of two cores.
async fn wait_until_ready(app: &TestApp, ada: &TestAccount, workspace: &str, file: &str, period: Duration) -> usize {
    let path = format!("/api/v1/workspaces/{workspace}/files/{file}");
    loop {
        let file = app.get(ada, &path).await.expect(200);
        assert_ne!(file["state"], "failed", "{file}");
        if file["state"] == "ready" {
            return usize::try_from(file["chunkCount"].as_u64().unwrap()).unwrap();
        }
        tokio::time::sleep(period).await;
    }
}

/// Sentences with words of varying length, different for every seed.
fn prose(seed: usize, bytes: usize) -> String {
    const WORDS: [&str; 24] = [
        "the",
        "turbine",
        "of",
        "a",
        "current",
        "measured",
        "in",
        "spring",
        "and",
        "blade",
        "fouling",
        "was",
        "observed",
        "by",
        "divers",
        "at",
        "slack",
        "water",
        "near",
        "station",
        "with",
        "instruments",
        "over",
        "seasons",
    ];
    let mut state = seed as u64 * 2_654_435_761 + 1;
    let mut text = String::with_capacity(bytes + 64);
    let mut sentence = 0;
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = WORDS[(state >> 33) as usize % WORDS.len()];
        text.push_str(word);
        sentence += 1;
        if sentence % 17 == 0 {
            let _ = write!(text, " {}.{}", state >> 52, if sentence % 85 == 0 { "\n\n" } else { " " });
        } else {
            text.push(' ');
        }
    }
    text
}
