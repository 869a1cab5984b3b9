//! `ETag` and `If-Match`: a client does not overwrite a revision that it has not read.

use std::{
    collections::BTreeMap,
    future::{Ready, ready},
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    dev::Payload,
    http::header::{ETag, EntityTag, Header as _, IF_MATCH, IfMatch},
};
use apistos::{
    ApiComponent,
    paths::{MediaType, Parameter, ParameterDefinition, ParameterIn, Response, Responses},
    reference_or::ReferenceOr,
};
use serde::Serialize;
use serde_json::json;

use super::api_component::{api_component, sent_header};
use crate::problem::{Code, Problem};

/// The header with the expected revisions.
pub const EXPECTED: &str = "If-Match";

/// `*`, or a list of entity tags.
const TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$"#;

/// Extractor: the revisions that the client expects, from `If-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedRevisions(Option<Vec<i32>>);

impl ExpectedRevisions {
    /// `None`: any.
    pub fn revisions(self) -> Option<Vec<i32>> {
        self.0
    }
}

impl FromRequest for ExpectedRevisions {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if !request.headers().contains_key(IF_MATCH) {
            return ready(Ok(Self(None)));
        }
        ready(match IfMatch::parse(request) {
            Ok(IfMatch::Any) => Ok(Self(None)),
            Ok(IfMatch::Items(tags)) => Ok(Self(Some(tags.iter().filter_map(revision).collect()))),
            Err(_) => Err(Problem::new(Code::InvalidHeader).detail("If-Match must be * or a list of entity tags")),
        })
    }
}

/// 412 unless the revision is one of the expected ones; `None`: any.
pub fn check_revision(revision: i32, expected: Option<&[i32]>) -> Result<(), Problem> {
    match expected {
        Some(expected) if !expected.contains(&revision) => Err(Problem::new(Code::PreconditionFailed)),
        _ => Ok(()),
    }
}

/// The revision in a tag; another server's tag matches none.
fn revision(tag: &EntityTag) -> Option<i32> {
    (!tag.weak).then(|| tag.tag().parse().ok()).flatten()
}

api_component!(ExpectedRevisions {
    fn parameters() -> Vec<Parameter> {
        vec![Parameter {
            name: EXPECTED.to_owned(),
            _in: ParameterIn::Header,
            description: Some("The `ETag` that the client has read: the operation requires that it still matches.".to_owned()),
            definition: serde_json::from_value(json!({ "type": "string", "pattern": TAGS }))
                .ok()
                .map(|schema| ParameterDefinition::Schema(Box::new(ReferenceOr::Object(schema)))),
            ..Parameter::default()
        }]
    }
});

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

api_component!({T: ApiComponent} Tagged<T> as T {
    fn responses(_: Option<String>) -> Option<Responses> {
        let (name, _) = T::schema()?;
        let schema = ReferenceOr::Reference { _ref: format!("#/components/schemas/{name}") };
        let media = MediaType { schema: Some(schema), ..MediaType::default() };
        let response = Response {
            headers: BTreeMap::from([("ETag".to_owned(), sent_header("The revision, for `If-Match`."))]),
            content: BTreeMap::from([("application/json".to_owned(), media)]),
            ..Response::default()
        };
        let responses = BTreeMap::from([("200".to_owned(), ReferenceOr::Object(response))]);
        Some(Responses { responses, ..Responses::default() })
    }
});
