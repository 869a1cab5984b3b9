//! Sign-up, and the caller's own account.

mod avatar;
mod handlers;
mod service;
mod sign_up_policy;
mod wire;

use apistos::web::{ServiceConfig, delete, get, patch, post, put, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/auth/sign-up").route(post().to(handlers::sign_up)))
        .service(resource("/auth/sign-up/confirm").route(post().to(handlers::confirm_sign_up)))
        .service(resource("/account").route(get().to(handlers::read)).route(patch().to(handlers::update)))
        .service(resource("/account/password").route(post().to(handlers::change_password)))
        .service(resource("/account/deletion").route(post().to(handlers::delete)))
        .service(
            resource("/account/avatar")
                .route(get().to(avatar::read))
                .route(put().to(avatar::replace))
                .route(delete().to(avatar::remove)),
        );
}
