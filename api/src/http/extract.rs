//! What callers send, checked: bodies, query strings and path parameters whose failures are problems.
//!
//! None of them is looked at before the caller is known to be allowed: see [`Gate`].

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    dev::Payload,
    error::JsonPayloadError,
    web::{self, JsonConfig},
};
use apistos::{
    ApiComponent, Schema,
    paths::{Parameter, RequestBody},
    reference_or::ReferenceOr,
};
use futures::future::LocalBoxFuture;
use garde::Validate;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;

use crate::{
    auth::gate::Gate,
    problem::{Code, FieldError, Problem},
};

/// A JSON body: well-formed (else 400), of the declared shape and within its limits (else 422). Also a plain 200 answer.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + Validate<Context = ()> + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let gate = Gate::of(request);
        let body = web::Json::<T>::from_request(request, payload);
        Box::pin(async move {
            gate.passed().await;
            let web::Json(body) = body.await.map_err(|error| unreadable(&error))?;
            body.validate()?;
            Ok(Self(body))
        })
    }
}

/// How large a JSON body may be, in bytes.
pub(super) fn json_limit(bytes: usize) -> JsonConfig {
    JsonConfig::default().limit(bytes)
}

fn unreadable(error: &actix_web::Error) -> Problem {
    match error.as_error::<JsonPayloadError>() {
        Some(JsonPayloadError::Overflow { limit } | JsonPayloadError::OverflowKnownLength { limit, .. }) => {
            Problem::new(Code::PayloadTooLarge).detail(format!("a JSON body has at most {limit} bytes"))
        }
        Some(JsonPayloadError::ContentType) => {
            Problem::new(Code::UnsupportedMediaType).detail("the content type of the body is application/json")
        }
        Some(JsonPayloadError::Deserialize(error)) if error.classify() == Category::Data => {
            Problem::new(Code::InvalidBody).detail(error.to_string())
        }
        Some(JsonPayloadError::Deserialize(error)) => Problem::new(Code::MalformedJson).detail(error.to_string()),
        _ => Problem::new(Code::BadRequest).detail("the body could not be read to its end"),
    }
}

impl<T: Serialize> Responder for Json<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self.0)
    }
}

impl<T: ApiComponent> ApiComponent for Json<T> {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        T::child_schemas()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        T::schema()
    }
}

/// The query string: of the declared shape (else 400) and within its limits (else 422).
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + Validate<Context = ()> + 'static> FromRequest for Query<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let gate = Gate::of(request);
        let query = web::Query::<T>::from_query(request.query_string());
        Box::pin(async move {
            gate.passed().await;
            let web::Query(query) =
                query.map_err(|error| Problem::new(Code::InvalidQuery).detail(error.to_string()))?;
            query.validate()?;
            Ok(Self(query))
        })
    }
}

impl<T: ApiComponent> ApiComponent for Query<T> {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        T::child_schemas()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        None
    }

    fn request_body() -> Option<RequestBody> {
        None
    }

    fn parameters() -> Vec<Parameter> {
        web::Query::<T>::parameters()
    }
}

/// Path parameters, by name: `T` is a struct with a field for each that the handler wants. What is not an id names
/// nothing, so it is 404.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + 'static> FromRequest for Path<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let path = web::Path::<T>::from_request(request, payload).into_inner();
        ready(path.map(|path| Self(path.into_inner())).map_err(|_| Problem::not_found()))
    }
}

impl<T: ApiComponent> ApiComponent for Path<T> {
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
        web::Path::<T>::parameters()
    }
}

/// One field of a body cannot be used, for a reason that only the handler can know.
pub(crate) fn invalid_field(field: &str, message: impl Into<String>) -> Problem {
    Problem::invalid(vec![FieldError::new(field, message)])
}
