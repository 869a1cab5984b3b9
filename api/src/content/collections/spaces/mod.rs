//! The embedding spaces of a workspace.

mod handlers;
mod service;
mod wire;

use apistos::web::{ServiceConfig, get, resource};

pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/workspaces/{ws}/spaces").route(get().to(handlers::list)));
}
