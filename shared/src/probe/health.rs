//! `GET /health` of a process of ours: for health checks in images that have no HTTP client.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use crate::outbound::{self, OutboundError};

const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the process that answers `GET /health` on `address` says that it is well. `tls` says that it speaks HTTPS.
///
/// # Errors
/// When nobody answers there within five seconds.
pub async fn is_well(address: SocketAddr, tls: bool) -> Result<bool, OutboundError> {
    let scheme = if tls { "https" } else { "http" };
    let client = outbound::client_of_ourselves(PATIENCE)?;
    let answer = client.get(format!("{scheme}://{}/health", reachable(address))).send().await?;
    Ok(answer.status().as_u16() == 200)
}

/// "Every address" is one to listen on, not one to call.
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
    fn every_address_is_called_on_this_machine() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()).to_string(), "127.0.0.1:80");
        assert_eq!(reachable("[::]:80".parse().unwrap()).to_string(), "[::1]:80");
        assert_eq!(reachable("10.0.0.1:80".parse().unwrap()).to_string(), "10.0.0.1:80");
    }
}
