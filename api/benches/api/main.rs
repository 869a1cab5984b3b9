//! The benchmarks of the API, one program: `cargo bench -p nvisy-api --bench api -- NAME [ARGUMENT]`. The recipes of `just` call it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "benchmarks that print a report and use a part of the test support"
)]

mod corpus;
mod fairness;
mod http;
mod ingest;
mod noise;
mod pipelines;
mod quality;
mod search;
mod space_index;
mod space_move;
mod sync;
mod upload;

#[path = "../../tests/api/support/mod.rs"]
mod support;

/// The benchmarks by name.
const BENCHMARKS: [(&str, fn()); 13] = [
    ("fairness", fairness::run),
    ("http", http::run),
    ("ingest", ingest::run),
    ("pipelines", pipelines::run),
    ("quality", quality::run),
    ("search", search::run),
    ("space_index", space_index::run),
    ("space_move", space_move::run),
    ("sync_large_object", sync::large_object::run),
    ("sync_listing", sync::listing::run),
    ("sync_objects", sync::objects::run),
    ("sync_rows", sync::rows::run),
    ("upload", upload::run),
];

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let benchmark = BENCHMARKS.iter().find(|(known, _)| *known == name);
    let names = BENCHMARKS.map(|(known, _)| known).join(", ");
    let (_, run) = benchmark.unwrap_or_else(|| panic!("the first argument is one of {names}, not `{name}`"));
    run();
}
