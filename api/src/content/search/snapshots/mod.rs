//! Snapshots: named times, of which passages stay searchable.

mod handlers;
mod service;
mod wire;

use apistos::web::{ServiceConfig, delete, get, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/workspaces/{ws}/snapshots").route(post().to(handlers::create)).route(get().to(handlers::list)),
        )
        .service(
            resource("/workspaces/{ws}/snapshots/{snapshot}")
                .route(get().to(handlers::read))
                .route(delete().to(handlers::delete)),
        );
}
