//! How much a workspace uses, and how much it may.

mod handlers;
pub(crate) mod quota;
pub(crate) mod tally;
mod wire;

use apistos::web::{ServiceConfig, get, resource};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/workspaces/{ws}/usage").route(get().to(handlers::read)));
}
