//! Problems on the wire, and in the OpenAPI document.

use std::{collections::BTreeMap, fmt};

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use apistos::{ApiComponent, ApiErrorComponent, Schema, paths::Response, reference_or::ReferenceOr};
use schemars::{
    JsonSchema,
    r#gen::SchemaGenerator,
    schema::{InstanceType, SchemaObject},
};
use serde::Serialize;

use super::{Code, Problem};

/// The media type of problems.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A failed request (RFC 9457).
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Problem", example = "example")]
pub struct ProblemBody {
    /// `urn:nvisy:problem:`, followed by the code.
    #[serde(rename = "type")]
    kind: String,
    /// The code of the error, for programs.
    #[schemars(schema_with = "codes")]
    code: &'static str,
    /// The error, for people; the same for every occurrence of the code.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Details of this occurrence.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The invalid fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// The seconds after which the client may retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    /// The request's id, as in the server's log and in the header `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// An invalid field.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FieldError {
    /// The path of the field in the body, or the name of the query parameter.
    field: String,
    /// The rule that the field violates.
    message: String,
}

impl FieldError {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.message)
    }
}

fn codes(_: &mut SchemaGenerator) -> Schema {
    SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        enum_values: Some(Code::ALL.iter().map(|code| code.name().into()).collect()),
        ..SchemaObject::default()
    }
    .into()
}

fn example() -> ProblemBody {
    Problem::invalid(vec![FieldError::new("displayName", "length is lower than 2")]).body(None)
}

impl Problem {
    /// The body, with the id of the request if it is known.
    pub fn body(&self, request_id: Option<&str>) -> ProblemBody {
        ProblemBody {
            kind: format!("urn:nvisy:problem:{}", self.code.name()),
            code: self.code.name(),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: self.detail.as_deref().map(str::to_owned),
            errors: self.errors.clone(),
            retry_after: self.retry_after,
            request_id: request_id.map(str::to_owned),
        }
    }

    /// The body as JSON, without the id of a request.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self.body(None))
    }

    pub fn respond(&self, request_id: Option<&str>) -> HttpResponse {
        let mut response = HttpResponse::build(self.code.status());
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.code.status() == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        // The server must not parse the unread rest of the body as the next request.
        if matches!(self.code, Code::RequestTimeout | Code::PayloadTooLarge) {
            response.force_close();
        }
        let mut response = response.insert_header((header::CONTENT_TYPE, MEDIA_TYPE)).json(self.body(request_id));
        if let Some(status) = self.rate_limit {
            status.write_headers(response.headers_mut());
        }
        response
    }
}

/// No status: the OpenAPI document declares the errors of each operation (`server::openapi::errors`).
impl ApiErrorComponent for Problem {
    fn schemas_by_status_code() -> BTreeMap<String, (String, ReferenceOr<Schema>)> {
        BTreeMap::new()
    }

    fn error_responses() -> Vec<(String, Response)> {
        Vec::new()
    }
}
