//! The client of a request: its network address and the id of its request.

use std::{
    future::{Ready, ready},
    net::{IpAddr, Ipv4Addr},
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use nvisy_shared::{domain::activity::Actor, store::activity::ActorContext};

use super::{
    api_component::api_component, client_network::ClientNetwork, component::component, request_id::RequestId,
    trusted_proxies::TrustedProxies,
};
use crate::problem::Problem;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Extractor: the request's id, and the address that it came from.
#[derive(Clone, Debug)]
pub struct ClientInfo {
    pub request_id: Option<String>,
    /// The peer's address, or the one that trusted proxies forward for.
    pub address: Option<IpAddr>,
}

impl ClientInfo {
    pub fn of(request: &HttpRequest) -> Self {
        let request_id = request.extensions().get::<RequestId>().map(ToString::to_string);
        let forwarded = request.headers().get_all(FORWARDED_FOR);
        let forwarded: Vec<&str> =
            forwarded.flat_map(|value| value.to_str().unwrap_or("?").split(',')).map(str::trim).collect();
        let proxies = component::<TrustedProxies>(request);
        let address = request.peer_addr().map(|peer| proxies.client_address(peer.ip(), &forwarded));
        Self { request_id, address }
    }

    /// The network by which rate limits distinguish clients.
    pub fn network(&self) -> ClientNetwork {
        ClientNetwork::of(self.address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()))
    }

    /// The request as the activity log records it.
    pub fn actor_context(&self, actor: Actor) -> ActorContext {
        ActorContext { actor, request_id: self.request_id.clone(), address: self.address }
    }
}

impl FromRequest for ClientInfo {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

api_component!(ClientInfo);
