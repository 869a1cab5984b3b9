//! Signing up, logging in, and the caller's own account.

mod handlers;
mod service;
pub(crate) mod wire;

use apistos::web::{ServiceConfig, get, post, resource};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/auth/sign-up").route(post().to(handlers::sign_up)))
        .service(resource("/auth/login").route(post().to(handlers::login)))
        .service(resource("/account").route(get().to(handlers::read)));
}
