//! Runs of pipelines: starting, steering and following them, their items, and the outputs of their nodes.

mod artifacts;
mod inline;
mod inline_body;
mod items;
mod lists;
mod refresh_cost;
mod retry_items;
mod service;
mod start;
mod steer;
mod wait;
mod wire;

use apistos::web::{ServiceConfig, get, post, resource};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/workspaces/{ws}/pipelines/{pipeline}/runs").route(post().to(start::start)))
        .service(resource("/workspaces/{ws}/pipelines/{pipeline}/preview").route(post().to(start::preview)))
        .service(resource("/workspaces/{ws}/pipelines/{pipeline}/staleness").route(get().to(lists::staleness)))
        .service(resource("/workspaces/{ws}/runs").route(post().to(inline::start_inline)).route(get().to(lists::list)))
        .service(resource("/workspaces/{ws}/runs/{run}").route(get().to(lists::read)))
        .service(resource("/workspaces/{ws}/runs/{run}/failed-objects").route(get().to(lists::failed_objects)))
        .service(resource("/workspaces/{ws}/runs/{run}/cancel").route(post().to(steer::cancel)))
        .service(resource("/workspaces/{ws}/runs/{run}/retry").route(post().to(steer::retry)))
        .service(resource("/workspaces/{ws}/items/retry").route(post().to(retry_items::retry_items)))
        .service(resource("/workspaces/{ws}/runs/{run}/fork").route(post().to(steer::fork)))
        .service(resource("/workspaces/{ws}/runs/{run}/items").route(get().to(items::list)))
        .service(resource("/workspaces/{ws}/runs/{run}/items/{item}").route(get().to(items::read)))
        .service(resource("/workspaces/{ws}/runs/{run}/items/{item}/log").route(get().to(items::log)))
        .service(resource("/workspaces/{ws}/runs/{run}/items/{item}/retry").route(post().to(steer::retry_item)))
        .service(resource("/workspaces/{ws}/runs/{run}/items/{item}/artifacts").route(get().to(artifacts::list)))
        .service(
            resource("/workspaces/{ws}/runs/{run}/items/{item}/artifacts/{artifact}").route(get().to(artifacts::read)),
        );
}
