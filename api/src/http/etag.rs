//! `ETag` and `If-Match`: nobody overwrites what they have not seen.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    dev::Payload,
    http::header::{ETag, EntityTag, Header as _, IF_MATCH, IfMatch},
};
use apistos::{
    ApiComponent, Schema,
    paths::{Parameter, ParameterDefinition, ParameterIn, RequestBody, Responses},
    reference_or::ReferenceOr,
};
use serde::Serialize;

use super::extract::Json;
use crate::problem::{Code, Problem};

/// Extractor: the revisions that the caller accepts, from `If-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected(Option<Vec<i32>>);

impl Expected {
    /// `None`: any.
    pub fn revisions(self) -> Option<Vec<i32>> {
        self.0
    }
}

impl FromRequest for Expected {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if !request.headers().contains_key(IF_MATCH) {
            return ready(Ok(Self(None)));
        }
        ready(match IfMatch::parse(request) {
            Ok(IfMatch::Any) => Ok(Self(None)),
            Ok(IfMatch::Items(tags)) => Ok(Self(Some(tags.iter().filter_map(revision).collect()))),
            Err(_) => Err(Problem::new(Code::InvalidHeader).detail("If-Match is * or a list of entity tags")),
        })
    }
}

/// What is not a tag of ours matches nothing.
fn revision(tag: &EntityTag) -> Option<i32> {
    (!tag.weak).then(|| tag.tag().parse().ok()).flatten()
}

impl ApiComponent for Expected {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        Vec::new()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        None
    }

    fn request_body() -> Option<RequestBody> {
        None
    }

    fn parameters() -> Vec<Parameter> {
        vec![Parameter {
            name: "If-Match".to_owned(),
            _in: ParameterIn::Header,
            description: Some("The `ETag` of what was read: it is changed only if it is still that.".to_owned()),
            definition: String::raw_schema().map(|schema| ParameterDefinition::Schema(Box::new(schema))),
            ..Parameter::default()
        }]
    }
}

/// A 200 with the `ETag` of a revision.
#[derive(Debug)]
pub struct Tagged<T> {
    pub body: T,
    pub revision: i32,
}

impl<T: Serialize> Responder for Tagged<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().insert_header(ETag(EntityTag::new_strong(self.revision.to_string()))).json(self.body)
    }
}

impl<T: ApiComponent> ApiComponent for Tagged<T> {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        T::child_schemas()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        T::schema()
    }

    fn responses(content_type: Option<String>) -> Option<Responses> {
        Json::<T>::responses(content_type)
    }
}
