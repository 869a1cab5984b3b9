//! What a request says of the device it came from.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::USER_AGENT};
use apistos::{ApiComponent, Schema, paths::RequestBody, reference_or::ReferenceOr};
use nvisy_shared::store;

use crate::{http::client_info::Origin, problem::Problem};

/// Longest description of a browser that is kept, in characters.
const USER_AGENT_MAX: usize = 255;

/// Extractor: what people recognise their sessions by.
#[derive(Clone, Debug)]
pub struct Device {
    user_agent: Option<String>,
    address: Option<String>,
}

impl Device {
    pub fn as_stored(&self) -> store::session::Device<'_> {
        store::session::Device { user_agent: self.user_agent.as_deref(), address: self.address.as_deref() }
    }
}

impl FromRequest for Device {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
        let user_agent = user_agent.map(|text| text.chars().take(USER_AGENT_MAX).collect());
        let address = Origin::of(request).address.map(|address| address.to_canonical().to_string());
        ready(Ok(Self { user_agent, address }))
    }
}

impl ApiComponent for Device {
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
