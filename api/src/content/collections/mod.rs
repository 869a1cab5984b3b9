//! Collections: the named indexes of a workspace, and the models that they can have.

mod chunks;
mod handlers;
mod model;
mod second_space;
mod service;
mod spaces;
mod wire;

use apistos::web::{ServiceConfig, delete, get, patch, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/embedding-models").route(get().to(handlers::list_models)))
        .service(
            resource("/workspaces/{ws}/collections").route(post().to(handlers::create)).route(get().to(handlers::list)),
        )
        .service(
            resource("/workspaces/{ws}/collections/{collection}")
                .route(get().to(handlers::read))
                .route(patch().to(handlers::update))
                .route(delete().to(handlers::delete)),
        );
    second_space::routes(config);
    chunks::routes(config);
    spaces::routes(config);
}
