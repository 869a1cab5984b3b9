//! Evaluations: the queries of a set are searched by a worker, and the results compared with the judgements.

mod comparison;
mod handlers;
mod service;
mod settings;
mod wire;

use apistos::web::{ServiceConfig, delete, get, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/workspaces/{ws}/query-sets/{set}/evaluations").route(post().to(handlers::start)))
        .service(resource("/workspaces/{ws}/evaluations").route(get().to(handlers::list)))
        .service(
            resource("/workspaces/{ws}/evaluations/{evaluation}")
                .route(get().to(handlers::read))
                .route(delete().to(handlers::delete)),
        )
        .service(resource("/workspaces/{ws}/evaluations/{evaluation}/queries").route(get().to(handlers::list_queries)))
        .service(
            resource("/workspaces/{ws}/evaluations/{evaluation}/comparisons/{other}")
                .route(get().to(handlers::compare)),
        );
}
