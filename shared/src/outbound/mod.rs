//! HTTP clients; no other module builds one. [`client`] is for addresses that an operator has set, [`GuardedClient`] for those that a
//! tenant chooses.

mod address;
mod guarded;
mod names;
mod proxy;
mod slow_names;
mod tls;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use reqwest::redirect::Policy;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use url::Url;

pub use guarded::{GuardedClient, OutboundFailure, OutboundResponse};
pub use tls::tls_config;

use crate::secret::Secret;

/// Longest wait for a connection, within the timeout of the whole request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why no client could be built.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The TLS library rejected its settings.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// A text is no certificate in PEM.
    #[error("a certificate cannot be read")]
    Certificate,
    /// The HTTP library rejected its settings.
    #[error("the HTTP client cannot be set up")]
    Http(#[from] reqwest::Error),
}

/// The system's certificate authorities, read once.
static ROOT_CERTIFICATES: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        tracing::warn!(
            "the system has no certificate authorities (package ca-certificates): no https address can be reached"
        );
    }
    Arc::new(store)
});

/// A client for requests to other services. It follows no redirect, because a redirect may lead to an address that was not
/// checked. `timeout` applies to a whole request. With a `proxy`, all requests go through it.
///
/// # Errors
/// [`OutboundError`] if TLS or the client cannot be set up.
pub fn client(timeout: Duration, proxy: Option<&Secret<Url>>) -> Result<reqwest::Client, OutboundError> {
    let builder = builder(timeout)?;
    Ok(match proxy {
        Some(proxy) => proxy::through(builder, proxy)?,
        None => builder,
    }
    .build()?)
}

#[expect(clippy::disallowed_methods, reason = "this module builds the clients")]
fn builder(timeout: Duration) -> Result<reqwest::ClientBuilder, OutboundError> {
    let tls = tls_builder()?.with_root_certificates(Arc::clone(&ROOT_CERTIFICATES)).with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        // The settings name the proxy: without this, the library would read HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout)
        .user_agent("nvisy"))
}

fn tls_builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    // Named explicitly, because the process default panics if the build has no provider or two.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
}

/// A client for the health of a process on this machine. It verifies no certificate, because the certificate has the public
/// name of the machine. Requests and responses contain no secret.
///
/// # Errors
/// As [`client`].
#[expect(clippy::disallowed_methods, reason = "this module builds the clients")]
pub fn local_client(timeout: Duration) -> Result<reqwest::Client, OutboundError> {
    // This builder uses the process's default provider, and panics without one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .no_proxy()
        .redirect(Policy::none())
        .timeout(timeout)
        .build()?)
}

#[cfg(test)]
mod tests;
