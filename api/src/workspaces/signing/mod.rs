//! The secret by which requests to services of a workspace are signed.

mod handlers;
mod wire;

use apistos::web::{ServiceConfig, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/workspaces/{ws}/signing-secret").route(post().to(handlers::renew)));
}
