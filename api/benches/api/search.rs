//! `just bench-search`: search over 100,000 chunks, or as many as the argument says, compared with its bare statement, and its recall.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use nvisy_embed::InputType;
use nvisy_shared::{
    domain::{filter::Filter, space::Quantisation},
    id::{AccountId, SpaceId, WorkspaceId},
    platform::Platform,
    store::{
        self, Conn, Db,
        search::{SearchMode, SearchQuery, SpaceVector, search},
    },
};
use serde_json::json;

use crate::{
    corpus::{Corpus, LoadedChunk, LoadedFile},
    noise::{Noise, dot},
    support::TestApp,
};

const CHUNKS: usize = 100_000;
/// Chunks per transaction.
const LOAD_CHUNKS: usize = 10_000;
const PER_FILE: usize = 100;
const SMALL: usize = 1_000;
const MIDDLE: usize = 30_000;
const DIMENSIONS: usize = 384;
const CENTRES: usize = 2_000;
const ROUNDS: usize = 60;
const TOP: i64 = 10;

#[actix_web::main]
pub async fn run() {
    let app = TestApp::start_with(&[("NVISY_EMBEDDING_PROVIDER", "local"), ("NVISY_EMBEDDING_THREADS", "0")]).await;
    let platform = Platform::open(app.config().clone()).await.unwrap();
    let ada = app.create_account("ada").await;
    let owner = AccountId(ada.id.parse().unwrap());
    let space = platform.spaces.default().id;
    let mut noise = Noise(42);
    let centres: Vec<Vec<f32>> = (0..CENTRES).map(|_| noise.unit(DIMENSIONS)).collect();

    let chunks = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(CHUNKS);
    app.sql(&format!("drop index embedding_hnsw_{}", space.0.simple())).await;
    let began = Instant::now();
    let mut tenants = Vec::new();
    for (name, size) in [("Large", chunks), ("Small", SMALL), ("Middle", MIDDLE)] {
        let workspace = app.create_workspace(&ada, name).await;
        let id = WorkspaceId(workspace.parse().unwrap());
        let corpus = Corpus { db: &app.db, workspace: id, owner, space };
        let mut known = Vec::new();
        while known.len() < size {
            let count = LOAD_CHUNKS.min(size - known.len());
            known.extend(load(&corpus, (known.len(), count), &centres, &mut noise).await);
        }
        corpus.publish().await;
        tenants.push((workspace, id, known));
    }
    // A tenth of the files has `t0`, a hundredth `h0`, a thousandth `k0`.
    app.sql(
        r"update file set tags = array['t' || n % 10, 'h' || n % 100, 'k' || n % 1000]
          from (select id, substring(name from '\d+')::int as n from file) numbered where numbered.id = file.id",
    )
    .await;
    println!("loaded in {:.0?}", began.elapsed());
    let began = Instant::now();
    // The index of a million vectors is built in memory, or takes hours.
    app.sql(&format!("set maintenance_work_mem = '4GB'; select create_space_index('{space}', {DIMENSIONS})")).await;
    println!("index built in {:.0?}", began.elapsed());
    app.sql(
        "create table bench_lexemes as select workspace_id, id, to_tsvector('english', text) as lexemes from chunk;
         create index on bench_lexemes using gin (workspace_id, lexemes)",
    )
    .await;
    app.sql("vacuum analyze").await;
    println!("tenants of {chunks}, {MIDDLE} and {SMALL} chunks");
    let [(large, large_id, large_known), (_, small_id, small_known), (_, middle_id, middle_known)] = &tenants[..]
    else {
        unreachable!("three tenants")
    };

    let queries: Vec<Vec<f32>> =
        (0..ROUNDS).map(|n| noise.near(&large_known[n * (large_known.len() / ROUNDS)])).collect();
    let bare_vector = p50(bare_vector(&app.db, space, &queries).await);
    let bare_text = p50(bare_text(&app.db, *large_id, &mut noise).await);
    println!("bare statement, vector          p50 {}", millis(bare_vector));
    println!("bare statement, text            p50 {}", millis(bare_text));
    for (name, mode) in [("vector", SearchMode::Vector), ("text", SearchMode::Text), ("hybrid", SearchMode::Hybrid)] {
        let mut times = Vec::new();
        for vector in &queries {
            let query = search_query(mode, words(&mut noise, 6), space, vector.clone(), None);
            let began = Instant::now();
            search(&app.db, *large_id, &query).await.unwrap();
            times.push(began.elapsed());
        }
        println!("store::search, {name:7}          p50 {}", millis(p50(times)));
    }
    let mut embedding = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        platform.spaces.default().embedder.embed(InputType::Query, vec![words(&mut noise, 6)]).await.unwrap();
        embedding.push(began.elapsed());
    }
    let embedding = p50(embedding);
    println!("query embedding                 p50 {}", millis(embedding));
    for (mode, target) in [
        ("vector", embedding + 3 * bare_vector),
        ("text", 3 * bare_text),
        ("hybrid", embedding + 3 * (bare_vector + bare_text)),
    ] {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let body = json!({ "query": words(&mut noise, 6), "mode": mode, "limit": TOP });
            let began = Instant::now();
            app.post(&ada, &format!("/api/v1/workspaces/{large}/search"), &body).await.expect(200);
            times.push(began.elapsed());
        }
        let took = p50(times);
        let target = format!("target: at most embedding + 3 x bare = {}", millis(target).trim_start());
        println!("over HTTP, {mode:7}              p50 {}  ({target})", millis(took));
    }

    let tag = |tag: &str| Filter::parse(&json!({ "field": "tags", "op": "eq", "value": tag })).unwrap();
    let every = |nth: usize| large_known.iter().enumerate().filter(move |(n, _)| (n / PER_FILE).is_multiple_of(nth));
    for (name, workspace, known, filter) in [
        ("large tenant, index", *large_id, large_known.iter().collect::<Vec<_>>(), None),
        ("its files with t0, 10 %", *large_id, every(10).map(|(_, vector)| vector).collect(), Some(tag("t0"))),
        ("its files with h0, 1 %", *large_id, every(100).map(|(_, vector)| vector).collect(), Some(tag("h0"))),
        ("its files with k0, 0.1 %", *large_id, every(1_000).map(|(_, vector)| vector).collect(), Some(tag("k0"))),
        ("middle tenant", *middle_id, middle_known.iter().collect(), None),
        ("small tenant", *small_id, small_known.iter().collect(), None),
    ] {
        let queries: Vec<Vec<f32>> = (0..ROUNDS).map(|n| noise.near(known[n * 7 % known.len()])).collect();
        let (recall, times) = recall(&app.db, workspace, space, &queries, &known, filter.as_ref()).await;
        println!("recall@{TOP}, {name:24} {recall:.3}  p50 {}  (target: at least 0.95)", millis(p50(times)));
    }
    app.stop().await;
}

/// Loads `count` chunks from number `first` on, and returns their vectors in the order of the chunks.
async fn load(
    corpus: &Corpus<'_>,
    (first, count): (usize, usize),
    centres: &[Vec<f32>],
    noise: &mut Noise,
) -> Vec<Vec<f32>> {
    let file = |number: usize| {
        let chunks = (number..number + PER_FILE).map(|n| LoadedChunk {
            text: words(noise, 60),
            tokens: 60,
            vector: noise.near(&centres[(n * 7919) % centres.len()]),
        });
        LoadedFile { name: format!("bench {}.txt", number / PER_FILE), chunks: chunks.collect() }
    };
    let files: Vec<LoadedFile> = (first..first + count).step_by(PER_FILE).map(file).collect();
    corpus.load(&files).await;
    files.into_iter().flat_map(|file| file.chunks).map(|chunk| chunk.vector).collect()
}

fn search_query(
    mode: SearchMode,
    text: String,
    space: SpaceId,
    vector: Vec<f32>,
    filter: Option<Filter>,
) -> SearchQuery {
    let vectors = vec![SpaceVector { space, quantisation: Quantisation::Half, vector }];
    SearchQuery { mode, text, vectors, filter, limit: TOP, ..SearchQuery::default() }
}

/// The plain pgvector statement, without tenants, files or snippets.
async fn bare_vector(db: &Db, space: SpaceId, queries: &[Vec<f32>]) -> Vec<Duration> {
    let mut times = Vec::new();
    for vector in queries {
        let sql = format!(
            "select chunk_id from embedding where space_id = '{space}'
             order by (vector::halfvec({DIMENSIONS})) <=> '{vector:?}'::halfvec({DIMENSIONS}) limit {TOP}"
        );
        times.push(timed(db, &sql).await);
    }
    times
}

/// The plain text search statement of PostgreSQL.
async fn bare_text(db: &Db, workspace: WorkspaceId, noise: &mut Noise) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let words = words(noise, 6).replace(' ', " | ");
        let sql = format!(
            "select id from bench_lexemes, to_tsquery('english', '{words}') as terms
             where workspace_id = '{workspace}' and lexemes @@ terms
             order by ts_rank_cd(lexemes, terms, 1) desc limit {TOP}"
        );
        times.push(timed(db, &sql).await);
    }
    times
}

async fn timed(db: &Db, sql: &str) -> Duration {
    let began = Instant::now();
    db.query_all_raw(store::statement(sql)).await.unwrap();
    began.elapsed()
}

/// The share of the exact nearest neighbours that search finds, recognised by their similarity.
async fn recall(
    db: &Db,
    workspace: WorkspaceId,
    space: SpaceId,
    queries: &[Vec<f32>],
    known: &[&Vec<f32>],
    filter: Option<&Filter>,
) -> (f64, Vec<Duration>) {
    let top = usize::try_from(TOP).unwrap();
    let (mut found, mut times) = (0, Vec::new());
    for vector in queries {
        let mut exact: Vec<f64> = known.iter().map(|other| dot(vector, other)).collect();
        exact.sort_by(|a, b| b.total_cmp(a));
        let query = search_query(SearchMode::Vector, String::new(), space, vector.clone(), filter.cloned());
        let began = Instant::now();
        let hits = search(db, workspace, &query).await.unwrap().hits;
        times.push(began.elapsed());
        let distinct: HashSet<_> = hits.iter().map(|hit| hit.chunk_id).collect();
        assert_eq!(distinct.len(), top, "as many results as match");
        // The error of half precision.
        let least = exact[top - 1] - 1e-3;
        found += hits.iter().filter(|hit| hit.vector_score.unwrap() >= least).count();
    }
    (found as f64 / (queries.len() * top) as f64, times)
}

/// Words of a vocabulary in which a few are frequent and most are rare.
fn words(noise: &mut Noise, count: usize) -> String {
    let word = |n: &mut Noise| {
        let share = n.share();
        format!("term{}", (share * share * share * 20_000.0) as u32)
    };
    (0..count).map(|_| word(noise)).collect::<Vec<_>>().join(" ")
}

fn p50(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> String {
    format!("{:7.2} ms", time.as_secs_f64() * 1e3)
}
