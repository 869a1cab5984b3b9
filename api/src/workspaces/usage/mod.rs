//! How much a workspace uses, and how much it may.

mod handlers;
mod wire;

use apistos::web::{ServiceConfig, get, resource};

pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/workspaces/{ws}/usage").route(get().to(handlers::read)));
}
