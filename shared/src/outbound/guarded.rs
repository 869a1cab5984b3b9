//! The client for calls whose target a tenant chooses: model providers, webhooks, HTTP steps, connections.

use std::{
    error::Error as StdError,
    fmt,
    io::Read,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use flate2::read::{GzDecoder, ZlibDecoder};
use reqwest::{
    Request, RequestBuilder, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue},
};
use url::{Host, Url};

use super::{OutboundError, address, names::Names, proxy::ProxyRoute};
use crate::{
    config::{Networks, OutboundConfig},
    error_chain,
};

/// Longest chain of causes that is read; a cycle would never end.
const MAX_CAUSES: usize = 16;
/// Longest wait for the addresses of a name that the proxy will resolve.
const LOCAL_LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

/// A client that reaches public addresses only, and those of networks that the operator allows. It resolves a name itself, checks
/// each address and connects to the checked ones, so that a second, different response of a DNS server has no effect. It follows no
/// redirect, and reads bounded bodies. Cheap to clone.
///
/// With a proxy of the operator, the proxy resolves names, and its own rules decide which addresses it reaches. Before a request,
/// the client refuses closed addresses in URLs as always, and names for which this machine knows a closed address.
#[derive(Clone, Debug)]
pub struct GuardedClient {
    client: reqwest::Client,
    proxy: Option<ProxyRoute>,
    names: Names,
    policy: Arc<AddressPolicy>,
    max_response_bytes: usize,
}

/// A response whose body was read to its end and decompressed.
#[derive(Clone, Debug)]
pub struct OutboundResponse {
    /// The status; redirects are responses like any other.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why a guarded call has no response. No text contains the URL, because a path or query may contain a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundFailure {
    /// The URL, or each address of its name, is not allowed.
    #[error("{0}")]
    Blocked(&'static str),
    /// No connection: the name does not resolve, the server does not respond, TLS fails.
    #[error("no connection: {0}")]
    Connect(String),
    /// The certificate of the server is not valid for its name, or not trusted.
    #[error("no connection: {0}")]
    Certificate(String),
    /// The operator's proxy is at fault, or refuses the host.
    #[error("the operator's proxy {0}")]
    Proxy(&'static str),
    /// The timeout passed.
    #[error("no response in time")]
    Timeout,
    /// The response has more bytes than allowed, also after decompression.
    #[error("the response is larger than {0} bytes")]
    TooLarge(usize),
    /// The response ended early, or is not HTTP, or cannot be decompressed.
    #[error("the response cannot be read: {0}")]
    Broken(String),
    /// The request cannot be built.
    #[error("the request is invalid: {0}")]
    Request(String),
}

impl OutboundFailure {
    /// Whether the same call can succeed later without a change.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Certificate(_) | Self::Proxy(_) | Self::Timeout | Self::Broken(_))
    }
}

/// The address of a URL is closed to tenants.
#[derive(Clone, Copy, Debug)]
struct ClosedAddress;

const CLOSED_ADDRESS: &str = "the address is not on the public internet; an operator can allow its network";

impl fmt::Display for ClosedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED_ADDRESS)
    }
}

impl StdError for ClosedAddress {}

/// The addresses that a call may reach.
#[derive(Debug)]
struct AddressPolicy {
    allowed: Networks,
}

impl AddressPolicy {
    fn allows(&self, ip: IpAddr) -> bool {
        address::is_public(ip) || self.allowed.contains(address::reached(ip))
    }
}

/// Resolves names and drops the addresses that are not allowed. The connector connects to the returned addresses, and to no others.
struct CheckedResolver(Names, Arc<AddressPolicy>);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, policy) = (self.0.clone(), Arc::clone(&self.1));
        Box::pin(async move {
            let resolved = names.addresses(name.as_str(), 0).await?;
            let allowed: Vec<_> = resolved.into_iter().filter(|address| policy.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(ClosedAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

impl GuardedClient {
    /// With the operator's settings.
    ///
    /// # Errors
    /// [`OutboundError`] if TLS or the client cannot be set up.
    pub fn new(settings: &OutboundConfig) -> Result<Self, OutboundError> {
        Self::resolving(settings, Names::default())
    }

    pub(super) fn resolving(settings: &OutboundConfig, names: Names) -> Result<Self, OutboundError> {
        let policy = Arc::new(AddressPolicy { allowed: settings.allowed_networks.clone() });
        let builder = super::builder(Duration::from_secs(settings.timeout_seconds))?;
        let resolver = CheckedResolver(names.clone(), Arc::clone(&policy));
        let client = builder.dns_resolver(resolver).build()?;
        let proxy = ProxyRoute::new(settings, &names)?;
        Ok(Self { client, proxy, names, policy, max_response_bytes: settings.response_bytes })
    }

    /// Checks a URL as far as that is possible without resolving its name; validations report it early.
    ///
    /// # Errors
    /// [`OutboundFailure::Blocked`] with the reason.
    pub fn check(&self, url: &Url) -> Result<(), OutboundFailure> {
        if !["http", "https"].contains(&url.scheme()) {
            return Err(OutboundFailure::Blocked("the URL is neither http nor https"));
        }
        self.check_host(url)
    }

    /// As [`GuardedClient::check`], for other protocols.
    ///
    /// # Errors
    /// [`OutboundFailure::Blocked`] with the reason.
    pub fn check_host(&self, url: &Url) -> Result<(), OutboundFailure> {
        let blocked = |reason| Err(OutboundFailure::Blocked(reason));
        if !url.username().is_empty() || url.password().is_some() {
            return blocked("the URL contains credentials");
        }
        let ip: IpAddr = match url.host() {
            // An address in a URL is not resolved, so the resolver does not see it.
            Some(Host::Ipv4(ip)) => ip.into(),
            Some(Host::Ipv6(ip)) => ip.into(),
            Some(Host::Domain(name)) => match name.parse() {
                // URLs of other schemes than those of the web have addresses as names.
                Ok(ip) => ip,
                Err(_) => return Ok(()),
            },
            None => return blocked("the URL has no host"),
        };
        if self.policy.allows(ip) { Ok(()) } else { blocked(CLOSED_ADDRESS) }
    }

    /// Checks a URL as a request does before it is sent: a name that the proxy resolves is also resolved here, and refused if one of
    /// its addresses is closed. A name that this machine cannot resolve is left to the proxy; one that takes too long, for a minute.
    ///
    /// # Errors
    /// [`OutboundFailure::Blocked`] with the reason.
    pub async fn check_request(&self, url: &Url) -> Result<(), OutboundFailure> {
        self.check(url)?;
        let (Some(proxy), Some(Host::Domain(name))) = (self.route(url), url.host()) else { return Ok(()) };
        if proxy.slow_names.contains(name) {
            return Ok(());
        }
        match tokio::time::timeout(LOCAL_LOOKUP_TIMEOUT, self.names.addresses(name, 0)).await {
            Ok(Ok(addresses)) if addresses.iter().any(|address| !self.policy.allows(address.ip())) => {
                return Err(OutboundFailure::Blocked(CLOSED_ADDRESS));
            }
            Ok(_) => {}
            Err(_) => proxy.slow_names.add(name),
        }
        Ok(())
    }

    /// Checks that the host of a URL of any scheme may be called, and that its name resolves unless the proxy resolves it.
    ///
    /// # Errors
    /// As [`GuardedClient::resolve`].
    pub async fn check_resolved(&self, url: &Url) -> Result<(), OutboundFailure> {
        if self.route(url).is_some() {
            return self.check_request(url).await;
        }
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        self.resolve(host, port).await.map(drop)
    }

    /// Whether requests to a URL go through the operator's proxy, so that the address that they reach is not known here.
    #[must_use]
    pub fn uses_proxy(&self, url: &Url) -> bool {
        self.route(url).is_some()
    }

    /// The proxy that requests to a URL go through, if they do.
    fn route(&self, url: &Url) -> Option<&ProxyRoute> {
        self.proxy.as_ref().filter(|proxy| proxy.carries(url))
    }

    /// The addresses of a host that may be called, for protocols other than HTTP. The caller connects to one of them, and does not
    /// resolve the name again.
    ///
    /// # Errors
    /// [`OutboundFailure::Blocked`] if none may be called, [`OutboundFailure::Connect`] if the name does not resolve.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, OutboundFailure> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let resolved = self.names.addresses(host, port).await;
        let resolved = resolved.map_err(|error| OutboundFailure::Connect(error_chain(&error)))?;
        let allowed: Vec<_> = resolved.into_iter().filter(|address| self.policy.allows(address.ip())).collect();
        if allowed.is_empty() { Err(OutboundFailure::Blocked(CLOSED_ADDRESS)) } else { Ok(allowed) }
    }

    /// Whether an address is in a network that the operator has allowed, so that what is sent there in plain text stays in it.
    #[must_use]
    pub fn is_in_allowed_network(&self, ip: IpAddr) -> bool {
        self.policy.allowed.contains(address::reached(ip))
    }

    /// The client of a URL without the checks of [`GuardedClient::check_request`] and without the limit of responses, for libraries
    /// that send requests themselves. The caller checks the URL, and the library calls no other host.
    #[must_use]
    pub fn http(&self, url: &Url) -> &reqwest::Client {
        self.route(url).map_or(&self.client, ProxyRoute::client)
    }

    /// Starts a request; [`GuardedClient::send`] sends it. A timeout of its own replaces that of the settings.
    pub fn request(&self, method: reqwest::Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// The most bytes of a response by the operator's settings.
    #[must_use]
    pub const fn max_response_bytes(&self) -> usize {
        self.max_response_bytes
    }

    /// Checks the address and sends the request; the caller reads the body, and bounds it. It is not decompressed.
    ///
    /// # Errors
    /// [`OutboundFailure`] without a response.
    pub async fn open(&self, request: Request) -> Result<reqwest::Response, OutboundFailure> {
        self.check_request(request.url()).await?;
        match self.route(request.url()) {
            Some(proxy) => proxy.execute(request).await,
            None => self.client.execute(request).await.map_err(failure),
        }
    }

    /// Reads the body of a response to its end and decompresses it; at most `max_bytes`, or fewer if the operator's limit is lower.
    ///
    /// # Errors
    /// [`OutboundFailure`] without a complete body.
    pub async fn read(&self, response: reqwest::Response, max_bytes: usize) -> Result<Bytes, OutboundFailure> {
        let max_bytes = max_bytes.min(self.max_response_bytes);
        let headers = response.headers().clone();
        decompress(&headers, read(response, max_bytes).await?, max_bytes)
    }

    /// Checks the address, sends the request, and reads at most `max_bytes` of the response, or fewer if the operator's limit is
    /// lower.
    ///
    /// # Errors
    /// [`OutboundFailure`] without a complete response; a response of any status is none.
    pub async fn send(&self, request: RequestBuilder, max_bytes: usize) -> Result<OutboundResponse, OutboundFailure> {
        let mut request: Request =
            request.build().map_err(|error| OutboundFailure::Request(error_chain(&error.without_url())))?;
        request.headers_mut().entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip, deflate"));
        let response = self.open(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.read(response, max_bytes).await?;
        Ok(OutboundResponse { status, headers, body })
    }
}

impl OutboundFailure {
    /// The failure behind an error of a response that is read piece by piece.
    #[must_use]
    pub fn of(error: reqwest::Error) -> Self {
        failure(error)
    }
}

async fn read(mut response: reqwest::Response, max_bytes: usize) -> Result<Bytes, OutboundFailure> {
    let too_large = OutboundFailure::TooLarge(max_bytes);
    if response.content_length().is_some_and(|length| length > max_bytes as u64) {
        return Err(too_large);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > max_bytes {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Some servers compress without being asked, so the encoding of the response decides.
fn decompress(headers: &HeaderMap, body: Bytes, max_bytes: usize) -> Result<Bytes, OutboundFailure> {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let mut plain = Vec::new();
    // One byte more than allowed shows that there is more.
    let limit = max_bytes as u64 + 1;
    let read = match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" => return Ok(body),
        _ if body.is_empty() => return Ok(body),
        "gzip" | "x-gzip" => GzDecoder::new(body.as_ref()).take(limit).read_to_end(&mut plain),
        "deflate" => ZlibDecoder::new(body.as_ref()).take(limit).read_to_end(&mut plain),
        _ => return Err(OutboundFailure::Broken("its compression is unknown".to_owned())),
    };
    match read {
        Ok(length) if length > max_bytes => Err(OutboundFailure::TooLarge(max_bytes)),
        Ok(_) => Ok(plain.into()),
        Err(_) => Err(OutboundFailure::Broken("its compression is damaged".to_owned())),
    }
}

/// An error and its causes.
pub(super) fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(Some(error as &(dyn StdError + 'static)), |error| (*error).source()).take(MAX_CAUSES)
}

pub(super) fn failure(error: reqwest::Error) -> OutboundFailure {
    let closed = causes(&error).any(|cause| cause.is::<ClosedAddress>());
    if closed {
        return OutboundFailure::Blocked(CLOSED_ADDRESS);
    }
    if error.is_timeout() {
        return OutboundFailure::Timeout;
    }
    let (connect, certificate) = (error.is_connect(), causes(&error).any(is_about_certificate));
    let text = error_chain(&error.without_url());
    match (connect, certificate) {
        (true, true) => OutboundFailure::Certificate(text),
        (true, false) => OutboundFailure::Connect(text),
        (false, _) => OutboundFailure::Broken(text),
    }
}

/// Whether an error is that of a certificate, also within errors of sockets, which are not its causes.
fn is_about_certificate(error: &(dyn StdError + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return matches!(error, rustls::Error::InvalidCertificate(_));
    }
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    inner.is_some_and(|inner| is_about_certificate(inner))
}
