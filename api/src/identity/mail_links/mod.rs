//! Links by mail: password reset, and verification or change of the address.

mod handlers;
mod service;
mod wire;

use apistos::web::{ServiceConfig, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/auth/password-reset").route(post().to(handlers::forgot_password)))
        .service(resource("/auth/password-reset/confirm").route(post().to(handlers::reset_password)))
        .service(resource("/auth/email/confirm").route(post().to(handlers::confirm_email)))
        .service(resource("/account/email").route(post().to(handlers::change_email)))
        .service(resource("/account/email/verification").route(post().to(handlers::verify_email)));
}
