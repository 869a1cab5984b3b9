//! The comparison of the two spaces of a collection that moves to another model, with queries of its users.

mod handlers;
mod service;
mod wire;

use apistos::web::{ServiceConfig, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config.service(
        resource("/workspaces/{ws}/collections/{collection}/second-space/comparison")
            .route(post().to(handlers::compare)),
    );
}
