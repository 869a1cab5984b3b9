//! The activity logs of workspaces and of the caller's account.

mod export;
mod handlers;
mod wire;

use apistos::web::{ServiceConfig, get, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/workspaces/{ws}/activities").route(get().to(handlers::list)))
        .service(resource("/workspaces/{ws}/activities/export").route(get().to(handlers::export)))
        .service(resource("/account/activities").route(get().to(handlers::list_own)))
        .service(resource("/account/activities/export").route(get().to(handlers::export_own)));
}
