//! API tokens: credentials of programs.

mod handlers;
mod service;
mod wire;

use apistos::web::{ServiceConfig, delete, get, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/account/tokens").route(post().to(handlers::create)).route(get().to(handlers::list)))
        .service(resource("/account/tokens/{token}").route(delete().to(handlers::revoke)));
}
