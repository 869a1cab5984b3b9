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
use serde_json::{Value, json};

use crate::{
    http::api_component::{api_component, not_modified, sent_header},
    problem::Problem,
};

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

/// The extracted text as a response.
pub struct TextDownload(Download);

impl TextDownload {
    pub const MEDIA_TYPE: &str = "text/plain; charset=utf-8";

    /// The text of a file with this name. A blob never changes, so its id is a tag.
    pub fn new(text: Download, file_name: &str, blob: BlobId) -> Self {
        Self(text.named(&format!("{file_name}.txt"), Self::MEDIA_TYPE).tagged(blob.0.as_bytes()))
    }
}

impl Responder for TextDownload {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        self.0.respond_to(request)
    }
}

api_component!(Download {
    fn responses(_: Option<String>) -> Option<Responses> {
        // The media type is the file's.
        responses("*/*", json!({ "type": "string", "format": "binary" }))
    }
});

api_component!(TextDownload {
    fn responses(_: Option<String>) -> Option<Responses> {
        responses(TextDownload::MEDIA_TYPE, json!({ "type": "string" }))
    }
});

fn responses(media_type: &str, schema: Value) -> Option<Responses> {
    let schema = ReferenceOr::Object(serde_json::from_value(schema).ok()?);
    let media = MediaType { schema: Some(schema), ..MediaType::default() };
    let headers = [("ETag", "The tag of the content."), ("Content-Disposition", "`attachment`, with the file's name.")];
    let response = Response {
        headers: headers.map(|(name, text)| (name.to_owned(), sent_header(text))).into(),
        content: BTreeMap::from([(media_type.to_owned(), media)]),
        ..Response::default()
    };
    let responses = [("200", ReferenceOr::Object(response)), ("304", not_modified())];
    let responses = responses.map(|(status, response)| (status.to_owned(), response)).into();
    Some(Responses { responses, ..Responses::default() })
}
