//! The HTTP server: components, middleware, routes, and the pages beside the documented operations.

mod auth_rate_limit;
mod entry_point;
mod error_middleware;
mod head_requests;
pub mod health;
pub mod openapi;
mod reference_page;
mod routes;
mod runtime;
mod security_headers;
mod static_body;
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

use self::{
    auth_rate_limit::auth_rate_limit, error_middleware::error_middleware, head_requests::head_as_get,
    health::Readiness, openapi::OpenApiDocument, reference_page::ReferencePage, runtime::on_process_runtime,
    security_headers::SecurityHeaders, timeouts::Timeouts,
};
use crate::{
    http::{
        client_connection, cors::cors, extract::JsonLimit, idempotency::IdempotencySettings, pagination,
        trace::RequestSpan, trusted_proxies::TrustedProxies,
    },
    state::State,
};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// The components that extractors, middleware and handlers use. A server cannot be bound without them.
#[derive(Clone)]
pub struct Components {
    pub state: Data<State>,
    document: Data<OpenApiDocument>,
    reference_page: Data<ReferencePage>,
    readiness: Data<Readiness>,
    trusted_proxies: Data<TrustedProxies>,
    json_limit: Data<JsonLimit>,
    idempotency: Data<IdempotencySettings>,
    /// The runtime of the process, which ends last.
    runtime: Data<Handle>,
}

impl Components {
    pub async fn new(state: Data<State>) -> Self {
        let platform = &state.platform;
        let http = &platform.config.http;
        let retention = Duration::from_secs(http.idempotency_seconds);
        Self {
            document: Data::new(OpenApiDocument::collect().await),
            reference_page: Data::new(ReferencePage::new()),
            readiness: Data::new(Readiness::new(platform.db.clone(), platform.queue.clone(), state.lifecycle.clone())),
            trusted_proxies: Data::new(TrustedProxies::new(http.trusted_proxies.clone())),
            json_limit: Data::new(JsonLimit { limit_bytes: http.json_bytes }),
            idempotency: Data::new(IdempotencySettings::new(retention, platform.keys.clone())),
            runtime: Data::new(Handle::current()),
            state,
        }
    }

    fn register(&self, config: &mut web::ServiceConfig) {
        config
            .app_data(self.state.clone())
            .app_data(self.state.authenticator.clone())
            .app_data(self.state.limiter.clone())
            .app_data(self.document.clone())
            .app_data(self.reference_page.clone())
            .app_data(self.readiness.clone())
            .app_data(self.trusted_proxies.clone())
            .app_data(self.json_limit.clone())
            .app_data(self.idempotency.clone());
    }
}

/// Binds the configured address, for HTTPS where there is a certificate; port 0 takes any free one.
pub fn bind(
    http: &HttpConfig,
    queue: &QueueConfig,
    tls: Option<ServerConfig>,
    components: Components,
) -> io::Result<(Server, Vec<SocketAddr>)> {
    let (headers, timeouts, origins) = (SecurityHeaders::new(http), Timeouts::new(http), http.cors_origins.clone());
    let server = HttpServer::new(move || {
        let (headers, document) = (headers.clone(), components.document.clone());
        let (limiter, runtime) = (components.state.limiter.clone(), components.runtime.clone());
        App::new()
            .configure(|config| components.register(config))
            // The last is the outermost.
            .wrap(from_fn(head_as_get))
            .wrap(from_fn(pagination::bind_cursors))
            .wrap(from_fn(move |request, next| timeouts.apply(request, next)))
            .wrap(from_fn(move |request, next| auth_rate_limit(limiter.clone(), request, next)))
            .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
            .wrap(from_fn(move |request, next| error_middleware(headers.clone(), document.clone(), request, next)))
            .wrap(TracingLogger::<RequestSpan>::new())
            .wrap(from_fn(move |request, next| on_process_runtime(runtime.clone(), request, next)))
            .configure(|config| routes::mount(&mut ServiceConfig::from(config)))
            .service(web::resource("/").get(entry_point::links))
            .service(web::resource(openapi::PATH).get(openapi::serve))
            .service(web::resource(openapi::PATH_3_1).get(openapi::serve_3_1))
            .service(web::resource(reference_page::PATH).get(reference_page::page))
            .service(web::resource("/api/scalar/scalar.js").get(reference_page::script))
    })
    .workers(http.workers)
    .on_connect(client_connection::keep_socket)
    .client_request_timeout(Duration::from_secs(http.head_seconds))
    .shutdown_timeout(queue.grace_seconds)
    // `shared::lifecycle` handles signals.
    .disable_signals();
    let listener = listen(http.address, Duration::from_secs(http.body_seconds))?;
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    let addresses = server.addrs();
    Ok((server.run(), addresses))
}

/// A socket whose connections the kernel closes when a client has acknowledged nothing for `user_timeout`: actix itself
/// waits for a slow reader without limit. Accepted connections inherit the option.
fn listen(address: SocketAddr, user_timeout: Duration) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_user_timeout(Some(user_timeout))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
