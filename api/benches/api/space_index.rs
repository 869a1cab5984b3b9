//! `just bench-space-index`: build time, size, recall@10 and time of a walk of the indexes that a space may have, compared with one of
//! whole single-precision numbers. The size is also the memory that a walk needs, because it reads any page. Arguments: the number of
//! vectors, and that of dimensions.

use std::time::{Duration, Instant};

use nvisy_shared::store::{self, Conn, Db, TransactionTrait};

use crate::{
    noise::{Noise, dot},
    support::TestApp,
};

const VECTORS: usize = 100_000;
const DIMENSIONS: usize = 384;
/// Vectors around a centre, on average.
const PER_CENTRE: usize = 50;
/// Rows of one insert.
const INSERT_ROWS: usize = 1_000;
const QUERIES: usize = 200;
const TOP: usize = 10;
/// As in a search: see `shared/src/store/search/vector_leg.rs`.
const BINARY_CANDIDATES: usize = 200;
/// The error of half precision.
const TOLERANCE: f64 = 1e-4;

/// An index, and the statement that walks it.
struct Index {
    name: &'static str,
    /// What it is on.
    keys: String,
    /// The most dimensions that it can have.
    max_dimensions: usize,
    /// Selects the cosine distances to the vector `$query`.
    walk: String,
}

/// An index that was built.
#[derive(Default)]
struct Built {
    keys: String,
    seconds: f64,
    bytes: f64,
}

fn indexes(n: usize) -> [Index; 4] {
    let near = |distance: &str, limit: usize| {
        format!("select v <=> '$query'::halfvec as distance from bench_vector order by {distance} limit {limit}")
    };
    let bits = format!("binary_quantize(v)::bit({n}) <~> binary_quantize('$query'::halfvec)::bit({n})");
    let ranked_again = near(&bits, BINARY_CANDIDATES);
    [
        Index {
            name: "vector",
            keys: format!("(v::vector({n})) vector_cosine_ops"),
            max_dimensions: 2_000,
            walk: near(&format!("v::vector({n}) <=> '$query'::vector({n})"), TOP),
        },
        Index {
            name: "halfvec",
            keys: format!("(v::halfvec({n})) halfvec_cosine_ops"),
            max_dimensions: 4_000,
            walk: near(&format!("v::halfvec({n}) <=> '$query'::halfvec({n})"), TOP),
        },
        Index {
            name: "binary, as it is",
            keys: format!("(binary_quantize(v)::bit({n})) bit_hamming_ops"),
            max_dimensions: 64_000,
            walk: near(&bits, TOP),
        },
        Index {
            name: "binary, ranked again",
            keys: format!("(binary_quantize(v)::bit({n})) bit_hamming_ops"),
            max_dimensions: 64_000,
            walk: format!("select distance from ({ranked_again}) candidate order by distance limit {TOP}"),
        },
    ]
}

#[actix_web::main]
pub async fn run() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let (count, n) = (numbers.next().unwrap_or(VECTORS), numbers.next().unwrap_or(DIMENSIONS));
    let app = TestApp::start().await;
    let mut noise = Noise(42);
    let centres: Vec<Vec<f32>> = (0..count.div_ceil(PER_CENTRE)).map(|_| noise.unit(n)).collect();
    let vectors: Vec<Vec<f32>> = (0..count).map(|place| noise.near(&centres[place % centres.len()])).collect();
    let began = Instant::now();
    load(&app.db, &vectors).await;
    println!("{count} vectors of {n} dimensions around {} centres, loaded in {:.0?}", centres.len(), began.elapsed());
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|query| noise.near(&vectors[query * (count / QUERIES)])).collect();
    let least: Vec<f64> = queries.iter().map(|query| tenth_similarity(query, &vectors)).collect();
    println!("\n| index | built in | size | recall@{TOP} | p50 of a walk |\n|---|---|---|---|---|");
    let (mut last, mut first) = (Built::default(), None);
    for index in indexes(n) {
        if n > index.max_dimensions {
            println!("| {} | has {} dimensions at most | | | |", index.name, index.max_dimensions);
            continue;
        }
        if index.keys != last.keys {
            last = build(&app.db, &index, memory_kilobytes(count, n)).await;
        }
        let (recall, p50) = walk(&app.db, &index, &queries, &least).await;
        let p50 = p50.as_secs_f64() * 1e3;
        let (seconds, bytes, first_p50) = *first.get_or_insert((last.seconds, last.bytes, p50));
        println!(
            "| {} | {:.1} s, **{:.2}** | {:.1} MB, **{:.2}** | {recall:.3} | {p50:.2} ms, **{:.2}** |",
            index.name,
            last.seconds,
            last.seconds / seconds,
            last.bytes / 1e6,
            last.bytes / bytes,
            p50 / first_p50
        );
    }
    println!("\nbold: the share of the first index that is built");
    app.stop().await;
}

async fn load(db: &Db, vectors: &[Vec<f32>]) {
    let table = "create table bench_vector (v halfvec storage external not null) with (toast_tuple_target = 8160)";
    db.execute_unprepared(table).await.unwrap();
    for rows in vectors.chunks(INSERT_ROWS) {
        let rows: Vec<String> = rows.iter().map(|vector| format!("('{vector:?}')")).collect();
        db.execute_unprepared(&format!("insert into bench_vector values {}", rows.join(","))).await.unwrap();
    }
    db.execute_unprepared("vacuum analyze bench_vector").await.unwrap();
}

/// The memory of a build: the vectors in single precision, and their links with their distances.
fn memory_kilobytes(count: usize, dimensions: usize) -> usize {
    64 * 1024 + count * (4 * dimensions + 1_200) / 1024
}

/// Builds the index alone, in memory and by one process.
async fn build(db: &Db, index: &Index, memory_kilobytes: usize) -> Built {
    db.execute_unprepared("drop index if exists bench_index").await.unwrap();
    let began = Instant::now();
    let tx = db.begin().await.unwrap();
    tx.execute_unprepared(&format!(
        "set local maintenance_work_mem = '{memory_kilobytes}kB'; set local max_parallel_maintenance_workers = 0;
         create index bench_index on bench_vector using hnsw ({}) with (m = 16, ef_construction = 64)",
        index.keys
    ))
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let size = store::statement("select pg_relation_size('bench_index') as bytes");
    let bytes: i64 = db.query_one_raw(size).await.unwrap().unwrap().try_get("", "bytes").unwrap();
    Built { keys: index.keys.clone(), seconds, bytes: bytes as f64 }
}

/// The share of the nearest vectors that walks of the index find, recognised by their similarity, and the median time.
async fn walk(db: &Db, index: &Index, queries: &[Vec<f32>], least: &[f64]) -> (f64, Duration) {
    let (mut found, mut times) = (0, Vec::new());
    for (query, least) in queries.iter().zip(least) {
        let statement = store::statement(&index.walk.replace("$query", &format!("{query:?}")));
        let tx = db.begin().await.unwrap();
        tx.execute_unprepared("set local enable_seqscan = off").await.unwrap();
        let began = Instant::now();
        let rows = tx.query_all_raw(statement).await.unwrap();
        times.push(began.elapsed());
        tx.commit().await.unwrap();
        assert_eq!(rows.len(), TOP, "as many results as there are vectors");
        let is_near = |row: &store::Row| 1.0 - row.try_get::<f64>("", "distance").unwrap() >= least - TOLERANCE;
        found += rows.iter().filter(|row| is_near(row)).count();
    }
    times.sort();
    (found as f64 / (queries.len() * TOP) as f64, times[times.len() / 2])
}

/// The similarity of the last of the nearest vectors.
fn tenth_similarity(query: &[f32], vectors: &[Vec<f32>]) -> f64 {
    let mut all: Vec<f64> = vectors.iter().map(|vector| dot(query, vector)).collect();
    let (_, tenth, _) = all.select_nth_unstable_by(TOP - 1, |a, b| b.total_cmp(a));
    *tenth
}
