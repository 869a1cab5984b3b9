//! Synonyms of a workspace: one document, which its searches apply.

mod handlers;
mod service;
mod wire;

use apistos::web::{ServiceConfig, delete, get, put, resource};

pub fn routes(config: &mut ServiceConfig) {
    config.service(
        resource("/workspaces/{ws}/synonyms")
            .route(get().to(handlers::read))
            .route(put().to(handlers::replace))
            .route(delete().to(handlers::delete)),
    );
}
