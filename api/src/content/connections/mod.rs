//! Connections to other systems: accounts at model providers, with which pipelines work.

mod check;
mod handlers;
mod providers;
mod service;
mod usage;
mod wire;

use apistos::web::{ServiceConfig, delete, get, patch, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/providers").route(get().to(providers::list)))
        .service(
            resource("/workspaces/{ws}/connections").route(post().to(handlers::create)).route(get().to(handlers::list)),
        )
        .service(
            resource("/workspaces/{ws}/connections/{connection}")
                .route(get().to(handlers::read))
                .route(patch().to(handlers::update))
                .route(delete().to(handlers::delete)),
        )
        .service(resource("/workspaces/{ws}/connections/{connection}/check").route(post().to(check::check)))
        .service(resource("/workspaces/{ws}/model-usage").route(get().to(usage::list)));
}
