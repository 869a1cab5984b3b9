//! The usage and limits of a workspace.

mod handlers;
mod wire;

use apistos::web::{ServiceConfig, get, resource};

pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/workspaces/{ws}/usage").route(get().to(handlers::read)));
}
