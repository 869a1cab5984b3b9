//! Downloads of stored blobs.

use std::{collections::BTreeMap, pin::Pin};

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::{BodyStream, BoxBody, SizedStream},
    http::header::{
        self, Charset, ContentDisposition, DispositionParam, DispositionType, ETag, EntityTag, ExtendedValue,
        Header as _, IfNoneMatch,
    },
};
use apistos::{
    paths::{MediaType, Response, Responses},
    reference_or::ReferenceOr,
};
use bytes::Bytes;
use futures::Stream;
use nvisy_shared::{
    blob::{Blobs, GetError},
    id::{BlobId, WorkspaceId},
};

use crate::{http::api_component::api_component, problem::Problem};

type Content = Pin<Box<dyn Stream<Item = Result<Bytes, GetError>>>>;

/// A response that streams a blob. A failure midway aborts the connection, so that a client cannot take a truncated body for
/// a complete one.
pub struct Download {
    content: Content,
    response: actix_web::HttpResponseBuilder,
    size: Option<u64>,
    tag: Option<EntityTag>,
}

impl Download {
    /// Opens a blob.
    pub async fn open(blobs: &Blobs, workspace: WorkspaceId, blob: BlobId) -> Result<Self, Problem> {
        let content = blobs.get(workspace, blob).await.map_err(|error| match error {
            error if error.is_transient() => Problem::unavailable(2).caused_by(error),
            error => Problem::internal(error),
        })?;
        Ok(Self { content: Box::pin(content), response: HttpResponse::Ok(), size: None, tag: None })
    }

    /// Sets name and media type. The disposition is always `attachment`: an uploaded page must not run in the API's origin.
    pub fn named(mut self, name: &str, media_type: &str) -> Self {
        let ascii: String = name
            .chars()
            .map(|c| if c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ' { c } else { '_' })
            .collect();
        let mut parameters = vec![DispositionParam::Filename(ascii)];
        if !name.is_ascii() {
            parameters.push(DispositionParam::FilenameExt(ExtendedValue {
                charset: Charset::Ext("UTF-8".to_owned()),
                language_tag: None,
                value: name.as_bytes().to_vec(),
            }));
        }
        let disposition = ContentDisposition { disposition: DispositionType::Attachment, parameters };
        self.response.insert_header(disposition).insert_header((header::CONTENT_TYPE, media_type));
        self
    }

    /// Sets the content length.
    pub fn sized(self, bytes: i64) -> Self {
        Self { size: u64::try_from(bytes).ok(), ..self }
    }

    /// Sets the `ETag`, so that a client with a current copy gets 304.
    pub fn tagged(self, tag: &[u8]) -> Self {
        Self { tag: Some(EntityTag::new_strong(hex::encode(tag))), ..self }
    }
}

impl Responder for Download {
    type Body = BoxBody;

    fn respond_to(mut self, request: &HttpRequest) -> HttpResponse {
        if let Some(tag) = self.tag {
            let is_current = match IfNoneMatch::parse(request) {
                Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|cached| cached.weak_eq(&tag)),
                Ok(IfNoneMatch::Any) => true,
                // Absent or malformed.
                Err(_) => false,
            };
            if is_current {
                return HttpResponse::NotModified().insert_header(ETag(tag)).finish();
            }
            self.response.insert_header(ETag(tag));
        }
        match self.size {
            Some(size) => self.response.body(SizedStream::new(size, self.content)),
            None => self.response.body(BodyStream::new(self.content)),
        }
    }
}

api_component!(Download {
    fn responses(_: Option<String>) -> Option<Responses> {
        let binary = serde_json::from_value(serde_json::json!({ "type": "string", "format": "binary" })).ok()?;
        let media = MediaType { schema: Some(ReferenceOr::Object(binary)), ..MediaType::default() };
        let response = Response { content: BTreeMap::from([("*/*".to_owned(), media)]), ..Response::default() };
        let responses = BTreeMap::from([("200".to_owned(), ReferenceOr::Object(response))]);
        Some(Responses { responses, ..Responses::default() })
    }
});
