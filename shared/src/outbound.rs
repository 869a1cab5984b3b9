//! The one place that builds an HTTP client.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};

/// Longest wait for a connection; the timeout of the whole request still holds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// No client could be built: TLS cannot be set up on this machine.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The TLS library refused its settings.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The HTTP library refused its settings.
    #[error("the HTTP client cannot be set up")]
    Http(#[from] reqwest::Error),
}

/// The system's certificate authorities, read once.
static AUTHORITIES: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        tracing::warn!(
            "the system has no certificate authorities (package ca-certificates): no https address can be reached"
        );
    }
    Arc::new(store)
});

/// A client for calls to other services. It follows no redirect, since a redirect may lead where a check of the address has not
/// been; `timeout` is for a whole request.
///
/// # Errors
/// [`OutboundError`] if TLS or the client cannot be set up.
#[expect(clippy::disallowed_methods, reason = "the one place that builds a client")]
pub fn client(timeout: Duration) -> Result<reqwest::Client, OutboundError> {
    // The provider is named here rather than left to the process default: with none or two in the build that panics.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(Arc::clone(&AUTHORITIES))
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout)
        .user_agent("nvisy")
        .build()?)
}

/// A client that asks a process of ours on this machine how it is. It looks at no certificate, which names the machine as
/// others call it: nothing secret is asked or said.
///
/// # Errors
/// As [`client`].
#[expect(clippy::disallowed_methods, reason = "the one place that builds a client")]
pub fn client_of_ourselves(timeout: Duration) -> Result<reqwest::Client, OutboundError> {
    // This builder takes the process's default, and panics without one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .no_proxy()
        .redirect(Policy::none())
        .timeout(timeout)
        .build()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::client;

    #[tokio::test]
    async fn a_call_over_tls_starts_a_handshake() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let first = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            stream.read_u8().await.unwrap()
        });
        client(Duration::from_secs(5)).unwrap().get(format!("https://{address}/")).send().await.unwrap_err();
        assert_eq!(first.await.unwrap(), 22, "a TLS connection opens with a handshake record");
    }
}
