//! The event log as server-sent events.

mod follow;
mod handlers;
pub mod open;
mod wire;

use apistos::web::{ServiceConfig, get, resource};

pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/workspaces/{ws}/events").route(get().to(handlers::stream)));
}
