//! Chunks: the passages that sinks have written to collections, and that search finds.

mod export;
mod handlers;
mod service;
mod wire;

use apistos::web::{ServiceConfig, get, patch, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/workspaces/{ws}/chunks").route(get().to(handlers::list)))
        .service(
            resource("/workspaces/{ws}/chunks/{chunk}")
                .route(get().to(handlers::read))
                .route(patch().to(handlers::update)),
        )
        .service(resource("/workspaces/{ws}/collections/{collection}/chunks/export").route(get().to(handlers::export)));
}
