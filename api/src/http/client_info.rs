//! Where a request comes from.

use std::{
    future::{Ready, ready},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, web::Data};
use apistos::{ApiComponent, Schema, paths::RequestBody, reference_or::ReferenceOr};
use nvisy_shared::{config::Networks, domain::activity::Actor, store::activity::ActorContext};

use super::{client_network::Network, request_id::RequestId};
use crate::{problem::Problem, state::State};

const FORWARDED: &str = "x-forwarded-for";

/// Extractor: the request's name, and the address it came from.
#[derive(Clone, Debug)]
pub struct Origin {
    pub request_id: Option<String>,
    /// The peer's, unless a trusted proxy speaks for somebody else.
    pub address: Option<IpAddr>,
}

impl Origin {
    pub fn of(request: &HttpRequest) -> Self {
        let request_id = request.extensions().get::<RequestId>().map(ToString::to_string);
        let forwarded = request.headers().get_all(FORWARDED).flat_map(|value| value.to_str().unwrap_or("?").split(','));
        let forwarded: Vec<&str> = forwarded.map(str::trim).collect();
        let state = request.app_data::<Data<State>>();
        let address = request.peer_addr().map(|peer| match state {
            Some(state) => client(peer.ip(), &forwarded, &state.platform.config.http.trusted_proxies),
            None => peer.ip().to_canonical(),
        });
        Self { request_id, address }
    }

    /// Where it comes from, as far as callers are told apart by that.
    pub fn network(&self) -> Network {
        Network::of(self.address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()))
    }

    /// As the activity log takes it.
    pub fn by(&self, actor: Actor) -> ActorContext {
        ActorContext { actor, request_id: self.request_id.clone(), address: self.address }
    }
}

/// Whether it comes straight from a trusted proxy, which says who asks and what the request is called.
pub fn is_proxied(request: &HttpRequest) -> bool {
    let state = request.app_data::<Data<State>>();
    let peer = request.peer_addr();
    state.zip(peer).is_some_and(|(state, peer)| state.platform.config.http.trusted_proxies.contain(peer.ip()))
}

/// Each proxy appends whom it heard the request from. So the list is believed from its end, as far as proxies of ours
/// go; what stands before the first address that is not one of them, anybody may have written.
fn client(peer: IpAddr, forwarded: &[&str], trusted: &Networks) -> IpAddr {
    let mut address = peer.to_canonical();
    for hop in forwarded.iter().rev() {
        if !trusted.contain(address) {
            break;
        }
        let Some(hop) = hop_address(hop) else { break };
        address = hop.to_canonical();
    }
    address
}

/// Some balancers write the port, too, and IPv6 in brackets as a port needs them.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).filter(|hop| hop.contains(':'));
    let address = bare.unwrap_or(hop).parse().ok();
    address.or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()))
}

impl FromRequest for Origin {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

impl ApiComponent for Origin {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        Vec::new()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        None
    }

    fn request_body() -> Option<RequestBody> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str], trusted: &str) -> String {
        let trusted: Networks = serde_json::from_value(trusted.into()).unwrap();
        client(peer.parse().unwrap(), forwarded, &trusted).to_string()
    }

    #[test]
    fn nobody_speaks_for_others_unless_trusted() {
        assert_eq!(seen("192.0.2.1", &["203.0.113.9"], ""), "192.0.2.1");
        assert_eq!(seen("192.0.2.1", &["203.0.113.9"], "10.0.0.0/8"), "192.0.2.1");
        assert_eq!(seen("::ffff:192.0.2.1", &[], ""), "192.0.2.1");
    }

    #[test]
    fn the_list_is_believed_from_its_end_as_far_as_our_proxies_go() {
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
    fn a_hop_may_have_a_port_and_brackets() {
        for (hop, address) in [
            ("203.0.113.9:5678", "203.0.113.9"),
            ("[2001:db8::9]:80", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("2001:db8::9", "2001:db8::9"),
            ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
        ] {
            assert_eq!(seen("10.0.0.1", &["198.51.100.1", hop], "10.0.0.0/8"), address, "{hop}");
            // Also of a proxy that speaks for another.
            assert_eq!(seen("10.0.0.1", &[hop, "10.0.0.2:44"], "10.0.0.0/8"), address, "{hop}");
        }
        for hop in
            ["203.0.113.9:", ":80", "203.0.113.9:99999", "[203.0.113.9]", "[]", "[", "[[::1]]", "unknown", "_id:80"]
        {
            assert_eq!(seen("10.0.0.1", &[hop], "10.0.0.0/8"), "10.0.0.1", "{hop}");
        }
    }
}
