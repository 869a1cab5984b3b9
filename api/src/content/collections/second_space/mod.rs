//! The second embedding space of a collection: moving to another model while search goes on.

mod handlers;
mod service;
mod wire;

use apistos::web::{ServiceConfig, delete, get, patch, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/workspaces/{ws}/collections/{collection}/second-space")
                .route(post().to(handlers::create))
                .route(get().to(handlers::read))
                .route(patch().to(handlers::update))
                .route(delete().to(handlers::delete)),
        )
        .service(
            resource("/workspaces/{ws}/collections/{collection}/second-space/estimate")
                .route(post().to(handlers::estimate)),
        )
        .service(
            resource("/workspaces/{ws}/collections/{collection}/second-space/exchange")
                .route(post().to(handlers::exchange)),
        );
}
