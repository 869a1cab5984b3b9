//! The HTTP server: middleware, limits, and what is served beside the documented operations.

use std::{io, net::SocketAddr};

use actix_web::{
    App, HttpServer,
    dev::Server,
    middleware::{DefaultHeaders, from_fn},
    web::{self, Data},
};
use apistos::web::ServiceConfig;
use nvisy_shared::config::{Http, Queue};
use tracing_actix_web::TracingLogger;

use super::{extract, openapi, routes, scalar, trace::RequestSpan};
use crate::{problem, state::State};

/// Binds the configured address; port 0 takes any free one.
pub(crate) fn bind(http: &Http, queue: &Queue, state: Data<State>) -> io::Result<(Server, Vec<SocketAddr>)> {
    let json_bytes = http.json_bytes;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(extract::json_limit(json_bytes))
            .wrap(from_fn(problem::complete))
            .wrap(DefaultHeaders::new().add(("x-content-type-options", "nosniff")))
            .wrap(TracingLogger::<RequestSpan>::new())
            .configure(|config| routes::mount(&mut ServiceConfig::from(config)))
            .service(web::resource(openapi::PATH).get(openapi::serve))
            .service(web::resource("/api/scalar").get(scalar::page))
            .service(web::resource("/api/scalar/scalar.js").get(scalar::script))
    })
    .workers(http.workers)
    .shutdown_timeout(queue.grace_seconds)
    // Signals are the lifecycle's.
    .disable_signals()
    .bind(http.address)?;
    let addresses = server.addrs();
    Ok((server.run(), addresses))
}
