//! `just bench-search`: search over 100,000 chunks, beside its bare statement, and what it finds beside exact search.
#![allow(clippy::print_stdout, clippy::unwrap_used, dead_code, reason = "a report, and a part of the tests' tools")]

#[path = "../tests/api/app.rs"]
mod app;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use app::TestApp;
use nvisy_shared::{
    domain::file::FileState,
    embed::Purpose,
    id::{AccountId, BlobId, SpaceId, WorkspaceId},
    platform::Platform,
    store::{
        self, Conn, Db, TransactionTrait,
        chunk::NewChunk,
        file::{NewFile, StoredBlob},
        search::{Mode, Query, Space, search},
    },
};
use serde_json::json;

const CHUNKS: usize = 100_000;
const PER_FILE: usize = 10_000;
const SMALL: usize = 1_000;
const DIMENSIONS: u16 = 384;
const CENTRES: usize = 2_000;
const ROUNDS: usize = 60;
const TOP: i64 = 10;

#[actix_web::main]
async fn main() {
    let app = TestApp::start_with(&[("NVISY_EMBEDDING_PROVIDER", "local"), ("NVISY_EMBEDDING_THREADS", "0")]).await;
    let platform = Platform::open(app.config().clone()).await.unwrap();
    let ada = app.person("ada").await;
    let large = app.workspace(&ada, "Large").await;
    let small = app.workspace(&ada, "Small").await;
    let (large_id, small_id) = (WorkspaceId(large.parse().unwrap()), WorkspaceId(small.parse().unwrap()));
    let owner = AccountId(ada.id.parse().unwrap());
    let space = Space { id: platform.space, dimensions: DIMENSIONS };
    let mut noise = Noise(42);
    let centres: Vec<Vec<f32>> = (0..CENTRES).map(|_| noise.unit()).collect();

    let index = format!("embedding_hnsw_{}", space.id.0.simple());
    app.sql(&format!("drop index {index}")).await;
    let began = Instant::now();
    let mut known = Vec::new();
    for _ in 0..CHUNKS / PER_FILE {
        known.extend(load(&app.db, (large_id, owner), space.id, PER_FILE, &centres, &mut noise).await);
    }
    let small_known = load(&app.db, (small_id, owner), space.id, SMALL, &centres, &mut noise).await;
    app.sql(&format!("select create_space_index('{}', {DIMENSIONS})", space.id)).await;
    app.sql("vacuum analyze chunk, embedding").await;
    println!("{CHUNKS} chunks of one tenant, {SMALL} of another, loaded and indexed in {:.0?}", began.elapsed());

    let queries: Vec<Vec<f32>> = (0..ROUNDS).map(|n| noise.near(&known[n * (known.len() / ROUNDS)])).collect();
    let bare = bare(&app.db, space.id, &queries).await;
    println!("bare statement on the index     p50 {}", millis(p50(bare)));
    for (name, mode) in [("vector", Mode::Vector), ("text", Mode::Text), ("hybrid", Mode::Hybrid)] {
        let mut times = Vec::new();
        for vector in &queries {
            let query = Query { mode, text: words(&mut noise, 6), vector: vector.clone(), limit: TOP };
            let began = Instant::now();
            search(&app.db, large_id, space, &query).await.unwrap();
            times.push(began.elapsed());
        }
        println!("store::search, {name:7}          p50 {}", millis(p50(times)));
    }
    let mut embedding = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        platform.embedder.embed(Purpose::Query, vec![words(&mut noise, 8)]).await.unwrap();
        embedding.push(began.elapsed());
    }
    println!("query embedding                 p50 {}", millis(p50(embedding)));
    for mode in ["vector", "text", "hybrid"] {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let body = json!({ "query": words(&mut noise, 8), "mode": mode, "limit": TOP });
            let began = Instant::now();
            app.post(&ada, &format!("/api/v1/workspaces/{large}/search"), &body).await.expect(200);
            times.push(began.elapsed());
        }
        println!("over HTTP, {mode:7}              p50 {}  (aim: embedding + 3 x bare)", millis(p50(times)));
    }
    let recall = recall(&app.db, large_id, space, &queries, &known).await;
    println!("recall@{TOP} of the index, large tenant   {recall:.3}  (aim: at least 0.95)");
    let queries: Vec<Vec<f32>> = (0..ROUNDS).map(|n| noise.near(&small_known[n * 7])).collect();
    let recall = self::recall(&app.db, small_id, space, &queries, &small_known).await;
    println!("recall@{TOP}, tenant of 1 %               {recall:.3}");
    app.stop().await;
}

/// A file with `count` chunks; their vectors, in the order of the chunks.
async fn load(
    db: &Db,
    (workspace, owner): (WorkspaceId, AccountId),
    space: SpaceId,
    count: usize,
    centres: &[Vec<f32>],
    noise: &mut Noise,
) -> Vec<Vec<f32>> {
    let tx = db.begin().await.unwrap();
    let mut sha256 = [0; 32];
    sha256[..8].copy_from_slice(&noise.next().to_le_bytes());
    let blob = StoredBlob { id: BlobId::new(), sha256, bytes: 1 };
    store::file::register_blob(&tx, workspace, blob).await.unwrap();
    let new = NewFile { name: "bench.txt".to_owned(), media_type: "text/plain".to_owned(), blob, created_by: owner };
    let (file, version) = store::file::insert(&tx, workspace, blob.id, &new).await.unwrap();
    let mut place = 0;
    let chunks: Vec<NewChunk> = (0..count)
        .map(|_| {
            let text = words(noise, 60);
            let bytes = place..place + text.len();
            place = bytes.end;
            NewChunk { text, bytes, page: None, heading_path: Vec::new(), tokens: 60 }
        })
        .collect();
    store::chunk::replace(&tx, workspace, file, version, chunks).await.unwrap();
    let vectors: Vec<Vec<f32>> = (0..count).map(|n| noise.near(&centres[(n * 7919) % centres.len()])).collect();
    let end = i32::try_from(count).unwrap();
    let passages = store::chunk::passages(&tx, workspace, version, 0..end).await.unwrap();
    let rows: Vec<_> = passages.iter().map(|passage| passage.id).zip(vectors.iter().cloned()).collect();
    for rows in rows.chunks(2_000) {
        store::chunk::insert_vectors(&tx, workspace, space, (file, version), rows.to_vec()).await.unwrap();
    }
    store::file::set_state(&tx, workspace, version, FileState::Ready, None).await.unwrap();
    store::file::make_live(&tx, workspace, file, version).await.unwrap();
    tx.commit().await.unwrap();
    vectors
}

/// The statement a user of pgvector would write, without tenants, files or snippets.
async fn bare(db: &Db, space: SpaceId, queries: &[Vec<f32>]) -> Vec<Duration> {
    let mut times = Vec::new();
    for vector in queries {
        let sql = format!(
            "select chunk_id from embedding where space_id = '{space}'
             order by (vector::halfvec({DIMENSIONS})) <=> '{vector:?}'::halfvec({DIMENSIONS}) limit {TOP}"
        );
        let began = Instant::now();
        db.query_all_raw(store::statement(&sql)).await.unwrap();
        times.push(began.elapsed());
    }
    times
}

/// The share of the true nearest that search finds. A hit is known by its similarity: chunk ids are not kept here.
async fn recall(db: &Db, workspace: WorkspaceId, space: Space, queries: &[Vec<f32>], known: &[Vec<f32>]) -> f64 {
    let top = usize::try_from(TOP).unwrap();
    let mut found = 0;
    for vector in queries {
        let mut exact: Vec<f64> = known.iter().map(|other| dot(vector, other)).collect();
        exact.sort_by(|a, b| b.total_cmp(a));
        let query = Query { mode: Mode::Vector, text: String::new(), vector: vector.clone(), limit: TOP };
        let hits = search(db, workspace, space, &query).await.unwrap().hits;
        let distinct: HashSet<_> = hits.iter().map(|hit| hit.chunk_id).collect();
        assert_eq!(distinct.len(), top, "k results whenever k match");
        // Half precision moves a similarity by less than this.
        let least = exact[top - 1] - 1e-3;
        found += hits.iter().filter(|hit| hit.vector_score.unwrap() >= least).count();
    }
    found as f64 / (queries.len() * top) as f64
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum()
}

/// Words of a vocabulary in which a few are frequent and most are rare.
fn words(noise: &mut Noise, count: usize) -> String {
    let word = |n: &mut Noise| {
        let share = n.share();
        format!("term{}", (share * share * share * 20_000.0) as u32)
    };
    (0..count).map(|_| word(noise)).collect::<Vec<_>>().join(" ")
}

/// Repeatable randomness.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn unit(&mut self) -> Vec<f32> {
        let vector = (0..DIMENSIONS).map(|_| (self.share() + self.share() + self.share() - 1.5) as f32).collect();
        scaled(vector)
    }

    /// A vector around a centre.
    fn near(&mut self, centre: &[f32]) -> Vec<f32> {
        let away = self.unit();
        scaled(centre.iter().zip(away).map(|(a, b)| a + 0.6 * b).collect())
    }
}

fn scaled(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

fn p50(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> String {
    format!("{:7.2} ms", time.as_secs_f64() * 1e3)
}
