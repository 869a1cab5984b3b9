//! The proxies in front of the API, and the addresses that they forward.

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use nvisy_shared::config::Networks;

/// Component: the proxies whose `X-Forwarded-For` and `X-Request-Id` are believed.
#[derive(Clone, Debug)]
pub struct TrustedProxies(Networks);

impl TrustedProxies {
    pub fn new(networks: Networks) -> Self {
        Self(networks)
    }

    /// Whether the request comes straight from one of them.
    pub fn sent(&self, request: &HttpRequest) -> bool {
        request.peer_addr().is_some_and(|peer| self.0.contains(peer.ip()))
    }

    /// Each proxy appends the address that it got the request from. So the list is believed from its end, as far as trusted
    /// proxies go; the client may have written everything before the first address that is not one of them.
    pub fn client_address(&self, peer: IpAddr, forwarded: &[&str]) -> IpAddr {
        let mut address = peer.to_canonical();
        for hop in forwarded.iter().rev() {
            if !self.0.contains(address) {
                break;
            }
            let Some(hop) = hop_address(hop) else { break };
            address = hop.to_canonical();
        }
        address
    }
}

/// Some load balancers append the port, too, and write IPv6 in brackets, as a port needs them.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).filter(|hop| hop.contains(':'));
    let address = bare.unwrap_or(hop).parse().ok();
    address.or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str], trusted: &str) -> String {
        let trusted: Networks = serde_json::from_value(trusted.into()).unwrap();
        TrustedProxies(trusted).client_address(peer.parse().unwrap(), forwarded).to_string()
    }

    #[test]
    fn untrusted_peer_cannot_forward_another_address() {
        assert_eq!(seen("192.0.2.1", &["203.0.113.9"], ""), "192.0.2.1");
        assert_eq!(seen("192.0.2.1", &["203.0.113.9"], "10.0.0.0/8"), "192.0.2.1");
        assert_eq!(seen("::ffff:192.0.2.1", &[], ""), "192.0.2.1");
    }

    #[test]
    fn forwarded_list_is_believed_from_its_end_up_to_the_first_untrusted_address() {
        let trusted = "10.0.0.0/8, ::1";
        assert_eq!(seen("10.0.0.1", &["203.0.113.9"], trusted), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["203.0.113.9", "10.0.0.2"], trusted), "203.0.113.9");
        // The client wrote the first one itself.
        assert_eq!(seen("::1", &["198.51.100.1", "203.0.113.9"], trusted), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["10.0.0.3", "10.0.0.2"], trusted), "10.0.0.3");
        assert_eq!(seen("10.0.0.1", &["203.0.113.9", "nonsense"], trusted), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[], trusted), "10.0.0.1");
    }

    #[test]
    fn forwarded_address_may_have_a_port_and_brackets() {
        for (hop, address) in [
            ("203.0.113.9:5678", "203.0.113.9"),
            ("[2001:db8::9]:80", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("2001:db8::9", "2001:db8::9"),
            ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
        ] {
            assert_eq!(seen("10.0.0.1", &["198.51.100.1", hop], "10.0.0.0/8"), address, "{hop}");
            // Also in the middle of a chain of proxies.
            assert_eq!(seen("10.0.0.1", &[hop, "10.0.0.2:44"], "10.0.0.0/8"), address, "{hop}");
        }
        for hop in
            ["203.0.113.9:", ":80", "203.0.113.9:99999", "[203.0.113.9]", "[]", "[", "[[::1]]", "unknown", "_id:80"]
        {
            assert_eq!(seen("10.0.0.1", &[hop], "10.0.0.0/8"), "10.0.0.1", "{hop}");
        }
    }
}
