//! Files: upload, list, read, change, versions, content, delete.

mod download;
mod handlers;
mod service;
mod wire;

use apistos::web::{ServiceConfig, delete, get, patch, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/workspaces/{ws}/files").route(post().to(handlers::upload)).route(get().to(handlers::list)))
        .service(
            resource("/workspaces/{ws}/files/{file}")
                .route(get().to(handlers::read))
                .route(patch().to(handlers::update))
                .route(delete().to(handlers::delete)),
        )
        .service(resource("/workspaces/{ws}/files/{file}/versions").route(get().to(handlers::list_versions)))
        .service(resource("/workspaces/{ws}/files/{file}/content").route(get().to(handlers::content)))
        .service(resource("/workspaces/{ws}/files/{file}/text").route(get().to(handlers::text)));
}
