//! Requests through the operator's proxy, which resolves the names in their URLs.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use reqwest::{
    ClientBuilder, Proxy, Request, Response, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderValue, PROXY_AUTHORIZATION},
};
use url::Url;

use super::{
    OutboundError,
    guarded::{self, OutboundFailure},
    names::Names,
    slow_names::SlowNames,
};
use crate::{config::OutboundConfig, secret::Secret};

/// How the errors of a CONNECT request begin and end; the library exports no type of them.
const TUNNEL_ERROR: &str = "tunnel error: ";
const TUNNEL_UNAUTHORIZED: &str = "proxy authorization required";
const TUNNEL_UNREACHABLE: &str = "failed to create underlying connection";

/// Completes "the operator's proxy".
const UNAUTHORIZED: &str = "does not accept its credentials (407); the operator can correct NVISY_OUTBOUND_PROXY_URL";
const UNREACHABLE: &str = "cannot be reached";
const NO_TUNNEL: &str = "opens no connection to the host: it refuses the host, or cannot reach it";

/// Makes all requests of a client go through a proxy.
///
/// # Errors
/// [`OutboundError`] if the URL is not one of a proxy.
pub(super) fn through(builder: ClientBuilder, proxy: &Secret<Url>) -> Result<ClientBuilder, OutboundError> {
    let credentials = authorization(proxy.expose());
    let mut url = proxy.expose().clone();
    // A URL of HTTP can always have or not have credentials.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    let mut proxy = Proxy::all(url)?;
    if let Some(credentials) = credentials {
        proxy = proxy.custom_http_auth(credentials);
    }
    Ok(builder.proxy(proxy))
}

/// The header `Proxy-Authorization` of the credentials in a URL. Logs of the HTTP client do not show it.
fn authorization(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Resolves the name of the proxy without a check, because the operator chose it, and no other name.
struct ProxyResolver {
    proxy: String,
    names: Names,
}

impl Resolve for ProxyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, is_proxy) = (self.names.clone(), name.as_str().eq_ignore_ascii_case(&self.proxy));
        Box::pin(async move {
            if !is_proxy {
                return Err("only the proxy resolves the names of its requests".into());
            }
            Ok(Box::new(names.addresses(name.as_str(), 0).await?.into_iter()) as Addrs)
        })
    }
}

/// The client of the requests that go through the proxy.
#[derive(Clone, Debug)]
pub(super) struct ProxyRoute {
    client: reqwest::Client,
    settings: OutboundConfig,
    /// Names that are left to the proxy without a lookup.
    pub(super) slow_names: SlowNames,
}

impl ProxyRoute {
    /// `None` without a proxy.
    ///
    /// # Errors
    /// [`OutboundError`] if the client cannot be set up.
    pub(super) fn new(settings: &OutboundConfig, names: &Names) -> Result<Option<Self>, OutboundError> {
        let Some(proxy) = &settings.proxy_url else { return Ok(None) };
        let host = proxy.expose().host_str().unwrap_or_default().to_owned();
        let resolver = ProxyResolver { proxy: host, names: names.clone() };
        let builder = super::builder(Duration::from_secs(settings.timeout_seconds))?.dns_resolver(resolver);
        let client = through(builder, proxy)?.build()?;
        Ok(Some(Self { client, settings: settings.clone(), slow_names: SlowNames::default() }))
    }

    /// Whether requests to a URL go through the proxy.
    pub(super) fn carries(&self, url: &Url) -> bool {
        ["http", "https"].contains(&url.scheme()) && self.settings.proxy_for(url).is_some()
    }

    pub(super) const fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`OutboundFailure::Proxy`] if the proxy is at fault.
    pub(super) async fn execute(&self, mut request: Request) -> Result<Response, OutboundFailure> {
        // It would replace the operator's.
        request.headers_mut().remove(PROXY_AUTHORIZATION);
        // The response to a request in a tunnel is the server's, whatever its status.
        let is_tunnel = request.url().scheme() == "https";
        let response = self.client.execute(request).await.map_err(|error| failure(error, is_tunnel))?;
        match response.status() {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED if !is_tunnel => Err(OutboundFailure::Proxy(UNAUTHORIZED)),
            _ => Ok(response),
        }
    }
}

fn failure(error: reqwest::Error, is_tunnel: bool) -> OutboundFailure {
    if !error.is_connect() || error.is_timeout() {
        return guarded::failure(error);
    }
    let tunnel = guarded::causes(&error).find_map(|cause| {
        let text = cause.to_string();
        text.strip_prefix(TUNNEL_ERROR).map(str::to_owned)
    });
    match tunnel.as_deref() {
        Some(TUNNEL_UNAUTHORIZED) => OutboundFailure::Proxy(UNAUTHORIZED),
        Some(TUNNEL_UNREACHABLE) => OutboundFailure::Proxy(UNREACHABLE),
        Some(_) => OutboundFailure::Proxy(NO_TUNNEL),
        None if is_tunnel => guarded::failure(error),
        None => OutboundFailure::Proxy(UNREACHABLE),
    }
}
