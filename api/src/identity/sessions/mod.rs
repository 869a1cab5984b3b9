//! Sessions: login, refresh, logout.

mod handlers;
mod service;
mod wire;

use apistos::web::{ServiceConfig, delete, get, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/auth/login").route(post().to(handlers::login)))
        .service(resource("/auth/refresh").route(post().to(handlers::refresh)))
        .service(resource("/auth/logout").route(post().to(handlers::logout)))
        .service(resource("/account/sessions").route(get().to(handlers::list)).route(delete().to(handlers::revoke_all)))
        .service(resource("/account/sessions/{session}").route(delete().to(handlers::revoke)));
}
