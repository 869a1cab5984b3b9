//! Search.

mod filter_schema;
mod handlers;
mod service;
mod snippet;
mod wire;

use apistos::web::{ServiceConfig, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/workspaces/{ws}/search").route(post().to(handlers::search)));
}
