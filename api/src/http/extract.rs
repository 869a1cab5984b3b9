//! Extractors of bodies and path parameters, whose failures are problems.
//!
//! They wait until the caller is authorized: see [`Gate`].

use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder, body::BoxBody, dev::Payload, web};
use apistos::{ApiComponent, paths::Parameter};
use futures::future::LocalBoxFuture;
use garde::Validate;
use serde::{Serialize, de::DeserializeOwned};

use super::{api_component::api_component, component::component, gate::Gate, json_body::JsonBody};
use crate::problem::{FieldError, Problem};

/// Largest JSON body of operations without authorization.
const ANONYMOUS_LIMIT_BYTES: usize = 16 * 1024;

/// Component: the largest JSON body, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimit {
    pub limit_bytes: usize,
}

/// A JSON body: well-formed (else 400), of the declared shape and within its limits (else 422). Also a plain 200 response.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Validate<Context = ()> + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let gate = Gate::of(request);
        let limit_bytes = component::<JsonLimit>(request).limit_bytes;
        let limit_bytes = if gate.is_closed() { limit_bytes } else { limit_bytes.min(ANONYMOUS_LIMIT_BYTES) };
        let body = JsonBody::of(request, payload, limit_bytes);
        Box::pin(async move {
            gate.passed().await;
            let body: T = body.decode().await?;
            body.validate()?;
            Ok(Self(body))
        })
    }
}

impl<T: Serialize> Responder for Json<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self.0)
    }
}

api_component!({T: ApiComponent} Json<T> as T);

/// Path parameters, by name: `T` is a struct with a field for each that the handler wants. A value that is not an
/// id is 404.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Path<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let gate = Gate::of(request);
        let path = web::Path::<T>::from_request(request, payload).into_inner();
        Box::pin(async move {
            gate.passed().await;
            path.map(|path| Self(path.into_inner())).map_err(|_| Problem::not_found())
        })
    }
}

api_component!({T: ApiComponent} Path<T> {
    fn parameters() -> Vec<Parameter> {
        web::Path::<T>::parameters()
    }
});

/// 422: a field of the body is invalid, by a rule that only the handler can check.
pub fn invalid_field(field: &str, message: impl Into<String>) -> Problem {
    Problem::invalid(vec![FieldError::new(field, message)])
}
