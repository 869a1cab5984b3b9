//! Members of a workspace and their roles.

mod handlers;
pub mod service;
mod wire;

use apistos::web::{ServiceConfig, delete, get, patch, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/workspaces/{ws}/members").route(get().to(handlers::list)))
        .service(
            resource("/workspaces/{ws}/members/{account}")
                .route(get().to(handlers::read))
                .route(patch().to(handlers::change))
                .route(delete().to(handlers::remove)),
        )
        .service(resource("/workspaces/{ws}/leave").route(post().to(handlers::leave)))
        .service(resource("/workspaces/{ws}/transfer").route(post().to(handlers::transfer)));
}
