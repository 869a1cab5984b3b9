//! The HTTP server: middleware, limits, and what is served beside the documented operations.

mod auth_rate_limit;
mod error_middleware;
pub mod health;
pub mod openapi;
mod reference_page;
mod routes;
mod runtime;
mod security_headers;
mod timeouts;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use actix_web::{
    App, HttpServer,
    dev::Server,
    middleware::{Condition, from_fn},
    web::{self, Data},
};
use apistos::web::ServiceConfig;
use nvisy_shared::config::{HttpConfig, QueueConfig};
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::Handle;
use tracing_actix_web::TracingLogger;

use self::{auth_rate_limit::doorstep, runtime::home, security_headers::Shield, timeouts::patience};
use crate::{
    http::{cors::cors, pagination, trace::RequestSpan},
    state::State,
};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Binds the configured address, for HTTPS where there is a certificate; port 0 takes any free one.
pub fn bind(
    http: &HttpConfig,
    queue: &QueueConfig,
    tls: Option<ServerConfig>,
    state: Data<State>,
) -> io::Result<(Server, Vec<SocketAddr>)> {
    let (shield, origins) = (Shield::new(http), http.cors_origins.clone());
    let process = Data::new(Handle::current());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(shield.clone())
            .app_data(process.clone())
            // The last is the outermost.
            .wrap(from_fn(pagination::list))
            .wrap(from_fn(patience))
            .wrap(from_fn(doorstep))
            .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
            .wrap(from_fn(error_middleware::complete))
            .wrap(TracingLogger::<RequestSpan>::new())
            .wrap(from_fn(home))
            .configure(|config| routes::mount(&mut ServiceConfig::from(config)))
            .service(web::resource(openapi::PATH).get(openapi::serve))
            .service(web::resource("/api/scalar").get(reference_page::page))
            .service(web::resource("/api/scalar/scalar.js").get(reference_page::script))
    })
    .workers(http.workers)
    .client_request_timeout(Duration::from_secs(http.head_seconds))
    .shutdown_timeout(queue.grace_seconds)
    // Signals are the lifecycle's.
    .disable_signals();
    let listener = listen(http.address, Duration::from_secs(http.body_seconds))?;
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    let addresses = server.addrs();
    Ok((server.run(), addresses))
}

/// A socket whose connections the kernel ends when a client has taken nothing for `patience` of what it was sent: the
/// server itself waits for a reader as long as that one likes. Accepted connections inherit it.
fn listen(address: SocketAddr, patience: Duration) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_user_timeout(Some(patience))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
