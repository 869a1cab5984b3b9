//! The event log as server-sent events.

mod follow;
mod handlers;
pub(crate) mod open;
mod wire;

use apistos::web::{ServiceConfig, get, resource};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/workspaces/{ws}/events").route(get().to(handlers::stream)));
}
