//! Responses other than a plain 200, with the status in the type.

use std::collections::BTreeMap;

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue, LOCATION},
    },
};
use apistos::{
    ApiComponent,
    paths::{MediaType, Response, Responses},
    reference_or::ReferenceOr,
};
use serde::Serialize;

use super::api_component::api_component;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// 201: the resource exists now.
pub type Created<T> = StatusJson<201, T>;

/// 202: the work is accepted and will be done.
pub type Accepted<T> = StatusJson<202, T>;

/// A JSON response whose status is part of its type, so that the OpenAPI document cannot say another.
#[derive(Debug)]
pub struct StatusJson<const STATUS: u16, T> {
    pub body: T,
    status: StatusCode,
    location: Option<String>,
    is_replayed: bool,
}

impl<const STATUS: u16, T> StatusJson<STATUS, T> {
    /// The response of a request that has its effect now.
    pub fn new(body: T) -> Self {
        let status = StatusCode::from_u16(STATUS).expect("the aliases name valid statuses");
        Self { body, status, location: None, is_replayed: false }
    }

    /// The response of an earlier request with the same idempotency key.
    pub fn replayed(status: StatusCode, body: T) -> Self {
        Self { body, status, location: None, is_replayed: true }
    }

    /// The same response with another body, for content that is not stored with it.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> StatusJson<STATUS, U> {
        let Self { body, status, location, is_replayed } = self;
        StatusJson { body: with(body), status, location, is_replayed }
    }

    /// Whether this request had the effect, not an earlier one.
    pub fn is_first(&self) -> bool {
        !self.is_replayed
    }

    /// Adds the header `Location`.
    pub fn with_location(self, location: impl FnOnce(&T) -> String) -> Self {
        Self { location: Some(location(&self.body)), ..self }
    }
}

impl<const STATUS: u16, T: Serialize> Responder for StatusJson<STATUS, T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(location) = self.location {
            response.insert_header((LOCATION, location));
        }
        if self.is_replayed {
            response.insert_header((REPLAYED, HeaderValue::from_static("true")));
        }
        response.json(self.body)
    }
}

api_component!({const STATUS: u16, T: ApiComponent} StatusJson<STATUS, T> as T {
    fn responses(_: Option<String>) -> Option<Responses> {
        let (name, _) = T::schema()?;
        let schema = ReferenceOr::Reference { _ref: format!("#/components/schemas/{name}") };
        let media = MediaType { schema: Some(schema), ..MediaType::default() };
        let response = Response {
            content: BTreeMap::from([("application/json".to_owned(), media)]),
            ..Response::default()
        };
        let responses = BTreeMap::from([(STATUS.to_string(), ReferenceOr::Object(response))]);
        Some(Responses { responses, ..Responses::default() })
    }
});

/// 204: done, and there is nothing to return.
#[derive(Debug)]
pub struct NoContent;

impl Responder for NoContent {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

api_component!(NoContent {
    fn responses(_: Option<String>) -> Option<Responses> {
        let responses = BTreeMap::from([("204".to_owned(), ReferenceOr::Object(Response::default()))]);
        Some(Responses { responses, ..Responses::default() })
    }
});
