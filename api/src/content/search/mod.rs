//! Search, and its evaluation on judged queries.

mod as_of;
mod command;
mod comparison;
mod cursor;
mod embedding;
mod evaluations;
mod filter_schema;
mod handlers;
mod prepared;
mod query_sets;
mod reranking;
mod scope;
mod service;
mod similar;
mod snapshots;
mod synonyms;
mod wire;
mod worker_embedding;

use apistos::web::{ServiceConfig, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/workspaces/{ws}/search").route(post().to(handlers::search)))
        .service(resource("/workspaces/{ws}/search/batch").route(post().to(handlers::search_batch)))
        .service(resource("/workspaces/{ws}/search/similar").route(post().to(handlers::search_similar)));
    query_sets::routes(config);
    evaluations::routes(config);
    comparison::routes(config);
    synonyms::routes(config);
    snapshots::routes(config);
}
