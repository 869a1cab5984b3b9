//! Files that a response writes part by part: memory does not grow with their length, and no connection is held while the client
//! reads.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, body::BodyStream, http::header};
use apistos::{
    Schema,
    paths::{MediaType, Response, Responses},
    reference_or::ReferenceOr,
};
use bytes::Bytes;
use futures::stream;
use nvisy_shared::store;
use serde::Serialize;

use super::api_component::sent_header;

pub const JSON_LINES: &str = "application/jsonl";

/// A file that is read part by part.
pub trait Parts: Sized + 'static {
    /// The next part; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, PartError>>;
}

/// Why a file ends early: the connection is aborted, so that a client cannot take a part for the whole.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    #[error("the next part of the file cannot be read")]
    Store(#[from] store::Error),
    #[error("a part of the file is not JSON")]
    Json(#[from] serde_json::Error),
    #[error("the caller has lost access to the workspace")]
    AccessRevoked,
    #[error("the file was changed or deleted while it was read")]
    Changed,
}

/// One line for each object.
pub fn json_lines<T: Serialize>(objects: impl IntoIterator<Item = T>) -> serde_json::Result<Bytes> {
    let mut lines = Vec::new();
    for object in objects {
        serde_json::to_writer(&mut lines, &object)?;
        lines.push(b'\n');
    }
    Ok(lines.into())
}

/// A response with a file. Its name is ASCII without quotation marks.
pub fn attachment(name: &str, media_type: &'static str, parts: impl Parts) -> HttpResponse {
    let body = stream::try_unfold(parts, |mut parts| async move {
        let part = parts.next().await?;
        Ok::<_, PartError>(part.map(|part| (part, parts)))
    });
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, media_type))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(BodyStream::new(Box::pin(body)))
}

/// The description of [`attachment`] in the OpenAPI document, with the schema of each media type.
pub fn attachment_responses<const N: usize>(content: [(&str, ReferenceOr<Schema>); N]) -> Responses {
    let content = content.map(|(media_type, schema)| {
        (media_type.to_owned(), MediaType { schema: Some(schema), ..MediaType::default() })
    });
    let disposition = ("Content-Disposition".to_owned(), sent_header("`attachment`, with a file name."));
    let response =
        Response { headers: BTreeMap::from([disposition]), content: BTreeMap::from(content), ..Response::default() };
    let responses = BTreeMap::from([("200".to_owned(), ReferenceOr::Object(response))]);
    Responses { responses, ..Responses::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::json_lines;

    #[test]
    fn each_object_is_one_line() {
        let lines = json_lines([json!({ "text": "two\nlines" }), json!([])]).unwrap();
        assert_eq!(lines, "{\"text\":\"two\\nlines\"}\n[]\n");
        assert!(json_lines([0; 0]).unwrap().is_empty());
    }
}
