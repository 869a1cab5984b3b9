//! Answers with a body that are not plain 200s.

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
    ApiComponent, Schema,
    paths::{Header, MediaType, ParameterDefinition, Response, Responses},
    reference_or::ReferenceOr,
};
use serde::Serialize;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// 201: it exists now.
pub type Created<T> = Answer<201, T>;

/// 202: it is accepted and will be done.
pub type Accept<T> = Answer<202, T>;

/// An answer whose status is part of its type, so that the OpenAPI document cannot say another.
#[derive(Debug)]
pub struct Answer<const STATUS: u16, T> {
    pub body: T,
    status: StatusCode,
    location: Option<String>,
    replayed: bool,
}

impl<const STATUS: u16, T> Answer<STATUS, T> {
    /// A first answer.
    pub fn new(body: T) -> Self {
        let status = StatusCode::from_u16(STATUS).expect("the aliases name valid statuses");
        Self { body, status, location: None, replayed: false }
    }

    /// The answer given to an earlier request with the same idempotency key.
    pub fn replayed(status: StatusCode, body: T) -> Self {
        Self { body, status, location: None, replayed: true }
    }

    /// The same answer with another body: for what is not kept with it.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Answer<STATUS, U> {
        let Self { body, status, location, replayed } = self;
        Answer { body: with(body), status, location, replayed }
    }

    /// Whether the request had its effect now, and not before.
    pub fn is_first(&self) -> bool {
        !self.replayed
    }

    /// Says where the thing is to be read.
    pub fn at(self, location: impl FnOnce(&T) -> String) -> Self {
        Self { location: Some(location(&self.body)), ..self }
    }
}

impl<const STATUS: u16, T: Serialize> Responder for Answer<STATUS, T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(location) = self.location {
            response.insert_header((LOCATION, location));
        }
        if self.replayed {
            response.insert_header((REPLAYED, HeaderValue::from_static("true")));
        }
        response.json(self.body)
    }
}

impl<const STATUS: u16, T: ApiComponent> ApiComponent for Answer<STATUS, T> {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        T::child_schemas()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        T::schema()
    }

    fn responses(_: Option<String>) -> Option<Responses> {
        let (name, _) = T::schema()?;
        let schema = ReferenceOr::Reference { _ref: format!("#/components/schemas/{name}") };
        let media = MediaType { schema: Some(schema), ..MediaType::default() };
        let headers = [(LOCATION, "Where to read it."), (REPLAYED, "`true` where this answers a repeated request.")];
        let response = Response {
            headers: headers.into_iter().map(|(name, text)| (name.to_string(), header(text))).collect(),
            content: BTreeMap::from([("application/json".to_owned(), media)]),
            ..Response::default()
        };
        let responses = BTreeMap::from([(STATUS.to_string(), ReferenceOr::Object(response))]);
        Some(Responses { responses, ..Responses::default() })
    }
}

/// 204: it is gone.
#[derive(Debug)]
pub struct Deleted;

impl Responder for Deleted {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

impl ApiComponent for Deleted {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        Vec::new()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        None
    }

    fn responses(_: Option<String>) -> Option<Responses> {
        let responses = BTreeMap::from([("204".to_owned(), ReferenceOr::Object(Response::default()))]);
        Some(Responses { responses, ..Responses::default() })
    }
}

fn header(description: &str) -> ReferenceOr<Header> {
    let schema = String::raw_schema().expect("a string has a schema");
    ReferenceOr::Object(Header {
        description: Some(description.to_owned()),
        definition: Some(ParameterDefinition::Schema(Box::new(schema))),
        ..Header::default()
    })
}
