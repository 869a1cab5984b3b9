//! The device that a request came from.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::USER_AGENT};
use nvisy_shared::store;

use crate::{
    http::{api_component::api_component, client_info::ClientInfo},
    problem::Problem,
};

/// Longer descriptions of browsers are cut.
const USER_AGENT_MAX_CHARS: usize = 255;

/// Extractor: browser and address, by which people recognise their sessions.
#[derive(Clone, Debug)]
pub struct Device {
    user_agent: Option<String>,
    address: Option<String>,
}

impl Device {
    pub fn as_stored(&self) -> store::session::SessionDevice<'_> {
        store::session::SessionDevice { user_agent: self.user_agent.as_deref(), address: self.address.as_deref() }
    }
}

impl FromRequest for Device {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
        let user_agent = user_agent.map(|text| text.chars().take(USER_AGENT_MAX_CHARS).collect());
        let address = ClientInfo::of(request).address.map(|address| address.to_canonical().to_string());
        ready(Ok(Self { user_agent, address }))
    }
}

api_component!(Device);
