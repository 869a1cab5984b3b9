//! Workspaces: tenants.

mod handlers;
mod wire;

use apistos::web::{ServiceConfig, get, post, resource};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/workspaces").route(post().to(handlers::create)).route(get().to(handlers::list)))
        .service(resource("/workspaces/{ws}").route(get().to(handlers::read)));
}
