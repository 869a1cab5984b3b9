//! Workspaces: tenants.

pub mod activity;
mod handlers;
pub mod invites;
pub mod members;
mod service;
pub mod signing;
pub mod usage;
pub mod wire;

use apistos::web::{ServiceConfig, delete, get, patch, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/workspaces").route(post().to(handlers::create)).route(get().to(handlers::list))).service(
        resource("/workspaces/{ws}")
            .route(get().to(handlers::read))
            .route(patch().to(handlers::update))
            .route(delete().to(handlers::delete)),
    );
}
