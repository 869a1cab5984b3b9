//! What takes a mailbox: confirming a sign-up, a forgotten password, addresses.

mod handlers;
pub mod service;
pub mod wire;

use apistos::web::{ServiceConfig, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/auth/sign-up/confirm").route(post().to(handlers::confirm_sign_up)))
        .service(resource("/auth/password-reset").route(post().to(handlers::forgotten)))
        .service(resource("/auth/password-reset/confirm").route(post().to(handlers::reset)))
        .service(resource("/auth/email/confirm").route(post().to(handlers::confirm_email)))
        .service(resource("/account/email").route(post().to(handlers::change_email)))
        .service(resource("/account/email/verification").route(post().to(handlers::verify_email)));
}
