//! The body of a run with a definition of its own: JSON, or a form with the JSON and files.

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use apistos::{
    ApiComponent, Schema,
    paths::{Examples::Example, MediaType, RequestBody},
    reference_or::ReferenceOr,
};
use futures::future::LocalBoxFuture;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::wire::{StartInlineRun, inline_example};
use crate::{
    http::{
        component::component,
        extract::{Json, JsonLimit},
        string_schema::Text,
    },
    problem::Problem,
    upload::{MultipartUpload, binaries},
};

/// Extractor: the body by its content type. A form is not read yet.
pub enum InlineRunBody {
    /// The request alone.
    Json(Box<StartInlineRun>),
    /// The request and files.
    Form {
        /// The parts.
        parts: MultipartUpload,
        /// The largest request, in bytes.
        limit_bytes: usize,
    },
}

/// A run with files of its own. In a form with several files, `tags` and `metadata` describe the next file.
#[derive(JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "describes a body of `InlineRunBody` in the OpenAPI document")]
struct InlineRunForm {
    /// The run, as a JSON body has it. Its `files` are processed together with those of the form.
    request: StartInlineRun,
    /// The contents of the files, each with a file name.
    #[schemars(schema_with = "binaries")]
    file: Vec<String>,
    /// The tags: a field for each, or one with a JSON list.
    #[serde(default)]
    #[schemars(with = "Vec<Text<1, 100>>", length(max = 100))]
    tags: Option<Vec<String>>,
    /// Custom metadata: a JSON object of at most 65,536 bytes, 4,096 values and 8 levels.
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    metadata: Option<Map<String, Value>>,
}

impl FromRequest for InlineRunBody {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let mime = request.mime_type().ok().flatten();
        if mime.is_some_and(|mime| mime.type_() == mime::MULTIPART) {
            let limit_bytes = component::<JsonLimit>(request).limit_bytes;
            let parts = MultipartUpload::from_request(request, payload).into_inner();
            return Box::pin(async move { Ok(Self::Form { parts: parts?, limit_bytes }) });
        }
        let json = Json::<StartInlineRun>::from_request(request, payload);
        Box::pin(async move { Ok(Self::Json(Box::new(json.await?.0))) })
    }
}

impl ApiComponent for InlineRunBody {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        let mut schemas = <StartInlineRun as ApiComponent>::child_schemas();
        schemas.extend(<InlineRunForm as ApiComponent>::child_schemas());
        schemas.extend(<InlineRunForm as ApiComponent>::schema());
        schemas
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        <StartInlineRun as ApiComponent>::schema()
    }

    fn request_body() -> Option<RequestBody> {
        let media = |schema: &str, example: Option<Value>| {
            let schema = ReferenceOr::Reference { _ref: format!("#/components/schemas/{schema}") };
            MediaType { schema: Some(schema), example: example.map(Example), ..MediaType::default() }
        };
        let example = json!({ "request": inline_example(), "file": ["The tide turns at noon."] });
        let content = [
            ("application/json".to_owned(), media("StartInlineRun", None)),
            ("multipart/form-data".to_owned(), media("InlineRunForm", Some(example))),
        ];
        Some(RequestBody { content: content.into(), required: Some(true), ..RequestBody::default() })
    }
}
