//! The caller's second factor.

mod handlers;
mod service;
mod wire;

use apistos::web::{ServiceConfig, get, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/account/totp").route(get().to(handlers::read)).route(post().to(handlers::enrol)))
        .service(resource("/account/totp/confirm").route(post().to(handlers::confirm)))
        .service(resource("/account/totp/recovery-codes").route(post().to(handlers::renew)))
        .service(resource("/account/totp/disable").route(post().to(handlers::disable)));
}
