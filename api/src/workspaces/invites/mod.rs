//! Invites to a workspace, by e-mail address or by code.

mod handlers;
mod service;
mod wire;

use apistos::web::{ServiceConfig, delete, get, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/workspaces/{ws}/invites").route(post().to(handlers::create)).route(get().to(handlers::list)),
        )
        .service(resource("/workspaces/{ws}/invites/{invite}").route(delete().to(handlers::cancel)))
        .service(resource("/invites/accept").route(post().to(handlers::accept)))
        .service(resource("/invites/decline").route(post().to(handlers::decline)));
}
