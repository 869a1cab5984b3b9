//! The event log as server-sent events.

mod handlers;
mod sse;
mod wire;

use apistos::web::{ServiceConfig, get, resource};

pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/workspaces/{ws}/events").route(get().to(handlers::stream)));
}
