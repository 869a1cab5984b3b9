//! `just bench-space-move`: searches while a collection moves to another model: how many fail, and how long they take.
//! Argument: the number of chunks.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use futures::future::join_all;
use nvisy_shared::{
    id::{AccountId, WorkspaceId},
    platform::Platform,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    corpus::{Corpus, LoadedChunk, LoadedFile, build_index, drop_index, tidy},
    noise::Noise,
    support::{ModelRequest, ModelServer, TestAccount, TestApp, embedding_response, send, spawn},
};

const CHUNKS: usize = 100_000;
const PER_FILE: usize = 100;
/// Files of one transaction.
const LOAD_FILES: usize = 10;
const CHUNK_WORDS: usize = 60;
const QUESTION_WORDS: usize = 17;
const VOCABULARY: f64 = 30_000.0;
const DIMENSIONS: usize = 384;
const CONNECTIONS: usize = 4;
/// A search of each connection begins in each period: readers ask, they do not compete for the machine.
const PERIOD: Duration = Duration::from_millis(200);
const SAMPLE_TIME: Duration = Duration::from_secs(30);
const MODES: [&str; 3] = ["text", "vector", "hybrid"];
const SECOND: &str = "collections/default/second-space";

/// A workspace with a collection, and those who search it.
struct Bench {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
    noise: RefCell<Noise>,
}

/// Searches of a time: how long those of each mode took, and how many did not answer 200.
#[derive(Default)]
struct Searches {
    times: [Vec<Duration>; 3],
    failed: usize,
}

#[actix_web::main]
pub async fn run() {
    let count = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(CHUNKS);
    let url = serve_models();
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models.json").display().to_string();
    let large = json!([{ "provider": "openai", "url": url, "model": "large", "dimensions": DIMENSIONS }]);
    std::fs::write(&models, large.to_string()).unwrap();
    let dimensions = DIMENSIONS.to_string();
    let settings = [
        ("NVISY_EMBEDDING_URL", url.as_str()),
        ("NVISY_EMBEDDING_MODEL", "small"),
        ("NVISY_EMBEDDING_DIMENSIONS", dimensions.as_str()),
        ("NVISY_EMBEDDING_MODELS_FILE", models.as_str()),
        ("NVISY_LIMIT_ACCOUNT_MINUTE", "1000000"),
    ];
    let app = TestApp::start_with(&settings).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Moving").await;
    let bench = Bench { app, ada, workspace, noise: RefCell::new(Noise(42)) };
    bench.load(count).await;
    println!("{count} chunks, {CONNECTIONS} connections with a search every {PERIOD:?} each");

    let end = Instant::now() + SAMPLE_TIME;
    let quiet = bench.search_until(async || Instant::now() > end).await;
    quiet.report("quiet", None);

    let worker = spawn("nvisy-worker", &bench.app.deployment, &settings);
    let began = Instant::now();
    bench.request(Method::POST, SECOND, json!({ "model": "large" })).await;
    let filling = bench.search_until(async || {
        let second = bench.second().await;
        assert_ne!(second["state"], "failed", "{second}");
        second["state"] == "ready"
    });
    let filling = filling.await;
    let took = began.elapsed();
    println!("filled in {took:.0?}: {:.0} chunks/s", count as f64 / took.as_secs_f64());
    filling.report("while the second space is filled", Some(&quiet));

    let end = Instant::now() + SAMPLE_TIME;
    bench.request(Method::POST, &format!("{SECOND}/exchange"), Value::Null).await;
    let exchanged = bench.search_until(async || Instant::now() > end).await;
    exchanged.report("from the exchange on", Some(&quiet));

    bench.request(Method::DELETE, SECOND, Value::Null).await;
    let deleting = bench.search_until(async || bench.second().await["status"] == 404).await;
    deleting.report("while the first space is deleted", Some(&quiet));
    drop(worker);
    bench.app.stop_and_drop_jobs().await;
}

impl Bench {
    async fn load(&self, count: usize) {
        let platform = Platform::open(self.app.config().clone()).await.unwrap();
        let space = platform.spaces.default().id;
        let workspace = WorkspaceId(self.workspace.parse().unwrap());
        let db = &self.app.db;
        let corpus = Corpus { db, workspace, owner: AccountId(self.ada.id.parse().unwrap()), space };
        let file = |number: usize| {
            let chunks = (number..count.min(number + PER_FILE)).map(|_| {
                let text = self.words(CHUNK_WORDS);
                let vector = vector_of("small", &text);
                LoadedChunk { text, tokens: 80, vector }
            });
            LoadedFile { name: format!("{number}.txt"), tags: Vec::new(), chunks: chunks.collect() }
        };
        let batches = (0..count).step_by(PER_FILE * LOAD_FILES).map(|first| {
            let end = count.min(first + PER_FILE * LOAD_FILES);
            (first..end).step_by(PER_FILE).map(file).collect::<Vec<_>>()
        });
        drop_index(db, space).await;
        corpus.load_all(batches).await;
        corpus.make_visible().await;
        tidy(db).await;
        build_index(db, space, DIMENSIONS, count).await;
    }

    fn words(&self, count: usize) -> String {
        let mut noise = self.noise.borrow_mut();
        // A few words are frequent, as in a language.
        let words = (0..count).map(|_| format!("w{}", (noise.share().powi(3) * VOCABULARY) as u32));
        words.collect::<Vec<_>>().join(" ")
    }

    /// Searches until it is time to end, which is asked once a second.
    async fn search_until(&self, is_over: impl AsyncFn() -> bool) -> Searches {
        let (searches, over) = (RefCell::new(Searches::default()), std::cell::Cell::new(false));
        let connections = (0..CONNECTIONS).map(async |connection| {
            for place in connection.. {
                if over.get() {
                    break;
                }
                let mode = place % MODES.len();
                let body = json!({ "query": self.words(QUESTION_WORDS), "mode": MODES[mode] });
                let began = Instant::now();
                let response = self.send(Method::POST, "search", body).await;
                let is_whole = response["status"] == 200 && response["body"]["degraded"].is_null();
                searches.borrow_mut().add(mode, began.elapsed(), is_whole);
                tokio::time::sleep(PERIOD.saturating_sub(began.elapsed())).await;
            }
        });
        let until = async {
            while !is_over().await {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            over.set(true);
        };
        futures::join!(join_all(connections), until);
        searches.into_inner()
    }

    async fn second(&self) -> Value {
        let response = self.send(Method::GET, SECOND, Value::Null).await;
        match response["status"] == 200 {
            true => response["body"].clone(),
            false => response,
        }
    }

    async fn request(&self, method: Method, path: &str, body: Value) {
        let response = self.send(method, path, body).await;
        assert!(response["status"].as_u64().unwrap() < 300, "{path}: {response}");
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.app.request(method, &format!("/api/v1/workspaces/{}/{path}", self.workspace));
        let request = request.bearer_auth(&self.ada.token);
        let response = send(if body.is_null() { request } else { request.json(&body) }).await;
        json!({ "status": response.status.as_u16(), "body": serde_json::from_str::<Value>(&response.text).unwrap_or_default() })
    }
}

impl Searches {
    fn add(&mut self, mode: usize, took: Duration, is_whole: bool) {
        self.failed += usize::from(!is_whole);
        self.times[mode].push(took);
    }

    fn report(&self, name: &str, quiet: Option<&Self>) {
        let count: usize = self.times.iter().map(Vec::len).sum();
        println!("{name}: {count} searches, {} failed or degraded  (target: 0)", self.failed);
        for (mode, times) in MODES.iter().zip(&self.times) {
            let p99 = share(times, 0.99);
            let against = quiet.map(|quiet| {
                let place = MODES.iter().position(|known| known == mode).unwrap();
                let ratio = p99.as_secs_f64() / share(&quiet.times[place], 0.99).as_secs_f64();
                format!(", {ratio:.2} of the quiet one  (target: at most 2)")
            });
            println!("  {mode:6}  p50 {:?}  p99 {p99:?}{}", share(times, 0.5), against.unwrap_or_default());
        }
    }
}

/// The time within which this share of searches ended.
fn share(times: &[Duration], share: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    let last = times.len().saturating_sub(1);
    times.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

/// An embedding server with the models `small` and `large`, on a thread of its own. Returns its URL.
fn serve_models() -> String {
    let (url, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = ModelServer::start().await;
            server.respond(embeddings);
            url.send(server.base_url.clone()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    started.recv().unwrap()
}

fn embeddings(request: &ModelRequest) -> String {
    let model = request.body["model"].as_str().unwrap_or_default();
    embedding_response(request, |text| vector_of(model, text))
}

/// The sum of the random vectors of the words: texts with common words are near to each other.
fn vector_of(model: &str, text: &str) -> Vec<f32> {
    let mut sum = vec![0.0_f32; DIMENSIONS];
    for word in text.split_whitespace() {
        let seed = word.bytes().chain(model.bytes()).fold(0x9e37_79b9_7f4a_7c15_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3).rotate_left(23)
        });
        let mut noise = Noise(seed | 1);
        sum.iter_mut().for_each(|number| *number += (noise.share() - 0.5) as f32);
    }
    assert!(nvisy_embed::to_unit_length(&mut sum), "a text has words");
    sum
}
