//! A client of `GET /health`, for health checks in images without an HTTP client.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use crate::outbound::{self, OutboundError};

/// Longest wait for the response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether `GET /health` on `address` responds with 200. `tls` selects HTTPS.
///
/// # Errors
/// When no process responds within five seconds.
pub async fn is_healthy(address: SocketAddr, tls: bool) -> Result<bool, OutboundError> {
    let scheme = if tls { "https" } else { "http" };
    let client = outbound::local_client(REQUEST_TIMEOUT)?;
    let response = client.get(format!("{scheme}://{}/health", reachable(address))).send().await?;
    Ok(response.status().as_u16() == 200)
}

/// Replaces the unspecified address, on which a process listens but which no client can call.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn unspecified_address_is_called_on_localhost() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()).to_string(), "127.0.0.1:80");
        assert_eq!(reachable("[::]:80".parse().unwrap()).to_string(), "[::1]:80");
        assert_eq!(reachable("10.0.0.1:80".parse().unwrap()).to_string(), "10.0.0.1:80");
    }
}
