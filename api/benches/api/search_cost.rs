//! `just bench-search`: CPU of PostgreSQL and of the API for a search, by mode, length of the question and number of chunks.
//! An argument is the number of chunks above which a corpus is left out.

use std::{
    fs,
    time::{Duration, Instant},
};

use futures::future::join_all;
use nvisy_embed::InputType;
use nvisy_shared::{
    id::{AccountId, WorkspaceId},
    platform::Platform,
    store::{self, Conn, Db},
};
use serde_json::json;

use crate::{
    corpus::{Corpus, LoadedChunk, LoadedFile},
    noise::Noise,
    support::{TestAccount, TestApp},
};

/// Chunks, and chunks of a file.
const CORPORA: [(usize, usize); 3] = [(1_845, 2), (10_000, 10), (100_000, 100)];
const CHUNK_WORDS: usize = 160;
const DIMENSIONS: usize = 384;
const CONNECTIONS: usize = 4;
/// Searches of each connection.
const SEARCHES: usize = 40;
const VOCABULARY: usize = 30_000;
const STOP_WORDS: [&str; 16] =
    ["the", "of", "and", "in", "to", "is", "for", "with", "that", "on", "are", "by", "was", "how", "what", "which"];

#[actix_web::main]
pub async fn run() {
    let app = TestApp::start_with(&[("NVISY_EMBEDDING_PROVIDER", "local"), ("NVISY_EMBEDDING_THREADS", "0")]).await;
    let platform = Platform::open(app.config().clone()).await.unwrap();
    let ada = app.create_account("ada").await;
    println!("CPU of PostgreSQL, CPU of the API with the client, and p50, per search at {CONNECTIONS} connections:");
    let largest = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(usize::MAX);
    for (chunks, per_file) in CORPORA.into_iter().filter(|(chunks, _)| *chunks <= largest) {
        let workspace = app.create_workspace(&ada, &format!("{chunks} chunks")).await;
        let began = Instant::now();
        let mut noise = Noise(42);
        load(&platform, &ada, &workspace, (chunks, per_file), &mut noise).await;
        println!("{chunks} chunks in files of {per_file}, loaded in {:.0?}", began.elapsed());
        for words in [3, 17, 60] {
            for mode in ["text", "hybrid", "vector"] {
                let questions: Vec<Vec<String>> =
                    (0..CONNECTIONS).map(|_| (0..SEARCHES).map(|_| question(&mut noise, words)).collect()).collect();
                // Plans the statements on each connection.
                search_all(&app, &ada, &workspace, mode, &questions).await;
                let (postgres, api) = (postgres_cpu(&app.db).await, own_cpu());
                let mut times = search_all(&app, &ada, &workspace, mode, &questions).await;
                let count = (CONNECTIONS * SEARCHES) as f64;
                let postgres = (postgres_cpu(&app.db).await - postgres) / count;
                let api = (own_cpu() - api) / count;
                times.sort();
                let p50 = times[times.len() / 2].as_secs_f64() * 1e3;
                println!(
                    "  {words:2} words, {mode:6}  PostgreSQL {postgres:6.2} ms  API {api:6.2} ms  p50 {p50:6.2} ms"
                );
            }
        }
    }
    let before = own_cpu();
    for _ in 0..SEARCHES {
        platform.spaces.default().embedder.embed(InputType::Query, vec![question(&mut Noise(7), 17)]).await.unwrap();
    }
    println!("embedding of 17 words: {:.2} ms of the API", (own_cpu() - before) / SEARCHES as f64);
    app.stop().await;
}

async fn search_all(
    app: &TestApp,
    ada: &TestAccount,
    workspace: &str,
    mode: &str,
    questions: &[Vec<String>],
) -> Vec<Duration> {
    let connections = questions.iter().map(async |questions| {
        let mut times = Vec::new();
        for question in questions {
            let body = json!({ "query": question, "mode": mode });
            let began = Instant::now();
            app.post(ada, &format!("/api/v1/workspaces/{workspace}/search"), &body).await.expect(200);
            times.push(began.elapsed());
        }
        times
    });
    join_all(connections).await.concat()
}

/// Milliseconds on a processor of the connections to the database.
async fn postgres_cpu(db: &Db) -> f64 {
    let connections =
        "select pid from pg_stat_activity where datname = current_database() and backend_type = 'client backend'";
    let rows = db.query_all_raw(store::statement(connections)).await.unwrap();
    let pids = rows.iter().map(|row| row.try_get_by_index::<i32>(0).unwrap());
    pids.map(|pid| on_processor(&format!("/proc/{pid}/schedstat"))).sum()
}

/// Milliseconds on a processor of all threads of this process, also of those that have ended; in ticks of 10 ms.
fn own_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().unwrap() * 10.0).sum()
}

fn on_processor(path: &str) -> f64 {
    let found = fs::read_to_string(path).unwrap_or_default();
    found.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or_default() / 1e6
}

async fn load(
    platform: &Platform,
    ada: &TestAccount,
    workspace: &str,
    (chunks, per_file): (usize, usize),
    noise: &mut Noise,
) {
    let workspace = WorkspaceId(workspace.parse().unwrap());
    let owner = AccountId(ada.id.parse().unwrap());
    let (db, space) = (&platform.db, platform.spaces.default().id);
    let corpus = Corpus { db, workspace, owner, space };
    for first in (0..chunks).step_by(1_000) {
        let file = |number: usize| {
            let chunks = (0..per_file.min(chunks - number)).map(|_| LoadedChunk {
                text: question(noise, CHUNK_WORDS),
                tokens: 200,
                vector: noise.unit(DIMENSIONS),
            });
            LoadedFile { name: format!("{number}.txt"), chunks: chunks.collect() }
        };
        let files: Vec<LoadedFile> = (first..chunks.min(first + 1_000)).step_by(per_file).map(file).collect();
        corpus.load(&files).await;
    }
    corpus.publish().await;
}

/// Words of a vocabulary in which a few are frequent, as in a language, and a third are stop words.
fn question(noise: &mut Noise, count: usize) -> String {
    let word = |noise: &mut Noise| {
        let share = noise.share();
        if noise.share() < 0.35 {
            return STOP_WORDS[(share * share * STOP_WORDS.len() as f64) as usize].to_owned();
        }
        let rank = ((VOCABULARY as f64).powf(share) as usize).min(VOCABULARY - 1);
        name(rank)
    };
    (0..count).map(|_| word(noise)).collect::<Vec<_>>().join(" ")
}

/// A word for each number.
fn name(mut number: usize) -> String {
    const SYLLABLES: [&str; 16] =
        ["bal", "cor", "den", "fi", "gal", "hu", "jo", "kem", "lin", "mar", "nok", "pel", "rus", "tav", "vor", "zan"];
    let mut name = String::new();
    for _ in 0..4 {
        name.push_str(SYLLABLES[number % 16]);
        number /= 16;
    }
    name
}
