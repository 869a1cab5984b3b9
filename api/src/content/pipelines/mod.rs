//! Pipelines: node types, definitions and their versions, validation, plans, differences.

mod catalogue;
mod handlers;
mod inspection;
mod service;
mod wire;

use apistos::web::{ServiceConfig, delete, get, patch, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/node-types").route(get().to(catalogue::list)))
        .service(
            resource("/workspaces/{ws}/pipelines").route(post().to(handlers::create)).route(get().to(handlers::list)),
        )
        // Before the pipelines, whose ids it would be taken for.
        .service(resource("/workspaces/{ws}/pipelines/validate").route(post().to(inspection::validate)))
        .service(
            resource("/workspaces/{ws}/pipelines/{pipeline}")
                .route(get().to(handlers::read))
                .route(patch().to(handlers::update))
                .route(delete().to(handlers::delete)),
        )
        .service(resource("/workspaces/{ws}/pipelines/{pipeline}/export").route(get().to(handlers::export)))
        .service(resource("/workspaces/{ws}/pipelines/{pipeline}/plan").route(get().to(inspection::plan)))
        .service(resource("/workspaces/{ws}/pipelines/{pipeline}/diff").route(get().to(inspection::diff)))
        .service(resource("/workspaces/{ws}/pipelines/{pipeline}/versions").route(get().to(handlers::list_versions)))
        .service(
            resource("/workspaces/{ws}/pipelines/{pipeline}/versions/{version}")
                .route(get().to(handlers::read_version)),
        );
}
