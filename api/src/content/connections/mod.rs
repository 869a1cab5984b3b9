//! Connections to other systems: accounts at model providers, and stores of documents, with which pipelines work.

mod check;
mod handlers;
mod notifications;
mod providers;
mod query;
mod response_wait;
mod service;
mod usage;
mod used_by;
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
        .service(resource("/workspaces/{ws}/connections/{connection}/discover").route(post().to(query::discover)))
        .service(resource("/workspaces/{ws}/connections/{connection}/browse").route(post().to(query::browse)))
        .service(resource("/workspaces/{ws}/connections/{connection}/pipelines").route(get().to(used_by::list)))
        .service(
            resource("/workspaces/{ws}/connections/{connection}/notifications")
                .route(post().to(notifications::renew))
                .route(delete().to(notifications::end)),
        )
        .service(resource("/notifications/{code}").route(post().to(notifications::receive)))
        .service(resource("/workspaces/{ws}/model-usage").route(get().to(usage::list)));
}
