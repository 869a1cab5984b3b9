//! Query sets: judged queries, on which searches are evaluated.

mod handlers;
mod import;
mod imported;
mod qrels;
mod service;
mod topics;
mod wire;

use apistos::web::{ServiceConfig, delete, get, post, put, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/workspaces/{ws}/query-sets").route(post().to(handlers::create)).route(get().to(handlers::list)),
        )
        .service(
            resource("/workspaces/{ws}/query-sets/{set}")
                .route(get().to(handlers::read))
                .route(delete().to(handlers::delete)),
        )
        .service(resource("/workspaces/{ws}/query-sets/{set}/import").route(post().to(handlers::import_queries)))
        .service(resource("/workspaces/{ws}/query-sets/{set}/queries").route(get().to(handlers::list_queries)))
        .service(resource("/workspaces/{ws}/query-sets/{set}/judgements").route(put().to(handlers::judge)));
}
