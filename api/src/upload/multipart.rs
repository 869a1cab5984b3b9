//! Receiving the files of a request: each part is streamed to the object store, without a buffer.

use std::{
    collections::HashSet,
    future::{Ready, ready},
    mem,
};

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use apistos::{
    ApiComponent,
    paths::{Examples::Example, MediaType, RequestBody},
    reference_or::ReferenceOr,
};
use futures::TryStreamExt;
use nvisy_shared::{
    blob::{Blobs, PutError},
    domain::file::clean_name,
    id::{BlobId, WorkspaceId},
    platform::Platform,
    store::file::StoredBlob,
};
use schemars::{JsonSchema, r#gen::SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    file_name::declared_name,
    part_fields::{FIELD_LIMIT_BYTES, PartFields},
};
use crate::{
    http::{
        api_component::api_component,
        extract::invalid_field,
        gate::Gate,
        stall_guard::{is_too_slow, too_slow},
        string_schema::{Line, Text},
    },
    problem::{Code, Problem},
    quota,
};

/// Extractor: the unread body of an upload.
pub struct MultipartUpload {
    parts: Multipart,
    gate: Gate,
}

/// The files to index: each is a part named `file` with a file name. The other fields describe the next file of the body; in
/// a body with one file, they may also follow it.
#[derive(JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body of `MultipartUpload` in the OpenAPI document")]
struct UploadForm {
    /// The contents of the files.
    #[schemars(schema_with = "binaries")]
    file: Vec<String>,
    /// The id of the file in the system that it comes from. A workspace has one file with this id: an upload with the same id
    /// adds a version to it.
    #[serde(default)]
    #[schemars(with = "Line<1, 512>")]
    external_id: Option<String>,
    /// The tags: a field for each, or one with a JSON list.
    #[serde(default)]
    #[schemars(with = "Vec<Text<1, 100>>", length(max = 100))]
    tags: Option<Vec<String>>,
    /// Custom metadata: a JSON object of at most 65,536 bytes, 4,096 values and 8 levels.
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    metadata: Option<Map<String, Value>>,
    /// The name of a collection: of the pipelines that take uploads, only those that write to it process the file.
    #[schemars(with = "Option<Line<1, 100>>")]
    collection: Option<String>,
    /// The name or id of an enabled pipeline: only this one processes the file, whatever its trigger and filter.
    #[schemars(with = "Option<Line<1, 100>>")]
    pipeline: Option<String>,
}

/// The schema of the contents of files.
pub fn binaries(_: &mut SchemaGenerator) -> schemars::schema::Schema {
    serde_json::from_value(serde_json::json!({
        "type": "array", "minItems": 1, "items": { "type": "string", "format": "binary" }
    }))
    .expect("a schema")
}

/// A part whose bytes are in the object store.
#[derive(Debug)]
pub struct ReceivedFile {
    pub name: String,
    pub media_type: String,
    pub blob: StoredBlob,
    pub fields: PartFields,
}

/// The content of a part that distinguishes uploads: name, bytes and fields, not boundaries and headers.
#[derive(Serialize)]
pub struct PartFingerprint<'a> {
    name: &'a str,
    sha256: &'a [u8],
    #[serde(flatten)]
    fields: &'a PartFields,
}

impl ReceivedFile {
    pub fn fingerprint(&self) -> PartFingerprint<'_> {
        PartFingerprint { name: &self.name, sha256: &self.blob.sha256, fields: &self.fields }
    }
}

/// The limits of one upload.
#[derive(Clone, Copy, Debug)]
pub struct UploadLimits {
    pub files: usize,
    pub file_bytes: u64,
    /// The rest of the workspace's quota, also during the upload; `None`: not checked.
    pub free_bytes: Option<u64>,
}

impl UploadLimits {
    /// The limits of a workspace now. A request that `is_answered` has stored its bytes before; those of its repetition are
    /// discarded.
    pub async fn of(platform: &Platform, workspace: WorkspaceId, is_answered: bool) -> Result<Self, Problem> {
        let http = &platform.config.http;
        let free_bytes = if is_answered { None } else { Some(quota::free_bytes(platform, workspace).await?) };
        Ok(Self { files: http.upload_files, file_bytes: http.upload_bytes, free_bytes })
    }
}

/// The fields that a form has beside its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormKind {
    /// Descriptions of the files: an upload.
    Upload,
    /// Tags and metadata of the files, and the JSON of the request in a part named `request`, of so many bytes at most.
    Request { limit_bytes: usize },
}

/// The parts of a form, as far as they have arrived.
#[derive(Debug, Default)]
pub struct ReceivedForm {
    /// The files.
    pub files: Vec<ReceivedFile>,
    /// The part `request`.
    pub request: Option<Vec<u8>>,
}

/// The part with the JSON of a request.
pub const REQUEST: &str = "request";

impl MultipartUpload {
    /// Streams every part to the store. After a failure, `form` holds the parts that arrived before it.
    pub async fn receive(
        mut self,
        blobs: &Blobs,
        workspace: WorkspaceId,
        kind: FormKind,
        limits: UploadLimits,
        form: &mut ReceivedForm,
    ) -> Result<(), Problem> {
        self.gate.passed().await;
        let mut fields = PartFields::default();
        while let Some(part) = self.parts.try_next().await.map_err(body_problem)? {
            let name = part.name().unwrap_or_default().to_owned();
            if kind.describes_files(&name) {
                let added = read_field(&name, part, FIELD_LIMIT_BYTES).await.and_then(|bytes| fields.add(&name, bytes));
                added.map_err(|problem| of_file(form.files.len(), problem))?;
                continue;
            }
            if let (REQUEST, FormKind::Request { limit_bytes }) = (name.as_str(), kind) {
                if form.request.is_some() {
                    return Err(invalid_field(REQUEST, "must be given once"));
                }
                form.request = Some(read_field(REQUEST, part, limit_bytes).await?);
                continue;
            }
            if form.files.len() == limits.files {
                let detail = format!("an upload can have at most {} files", limits.files);
                return Err(Problem::new(Code::PayloadTooLarge).detail(detail));
            }
            let stored: u64 = form.files.iter().map(|part| part.blob.bytes).sum();
            let free_bytes = limits.free_bytes.map_or(u64::MAX, |free_bytes| free_bytes.saturating_sub(stored));
            let limit = limits.file_bytes.min(free_bytes);
            let part = store(blobs, workspace, part, kind, limit).await.map_err(|problem| {
                let is_quota = problem.code() == Code::PayloadTooLarge && free_bytes < limits.file_bytes;
                if is_quota { quota::bytes_exceeded() } else { problem }
            })?;
            form.files.push(ReceivedFile { fields: mem::take(&mut fields), ..part });
        }
        match form.files.as_mut_slice() {
            [] => Err(invalid_field("file", "an upload needs at least one part named `file`")),
            // Clients that write the fields of a form in an order of their own.
            [only] => only.fields.merge(fields),
            _ if fields.is_empty() => Ok(()),
            files => Err(of_file(files.len(), invalid_field("file", "must follow the fields that describe it"))),
        }?;
        require_distinct_ids(&form.files)
    }
}

impl FormKind {
    /// Whether a part with this name describes the next file.
    fn describes_files(self, name: &str) -> bool {
        match self {
            Self::Upload => PartFields::has(name),
            Self::Request { .. } => PartFields::labels(name),
        }
    }

    /// The message for a part with another name.
    const fn unknown_part(self) -> &'static str {
        match self {
            Self::Upload => "a part must be named `file`, `externalId`, `tags` or `metadata`",
            Self::Request { .. } => "a part must be named `request`, `file`, `tags` or `metadata`",
        }
    }
}

/// Names the file of the upload, from 0, at whose fields it failed.
fn of_file(index: usize, problem: Problem) -> Problem {
    if problem.is(Code::InvalidBody) { problem.detail(format!("of file {} of the upload", index + 1)) } else { problem }
}

async fn read_field(name: &str, mut part: Field, limit_bytes: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.try_next().await.map_err(body_problem)? {
        if bytes.len() + chunk.len() > limit_bytes {
            return Err(invalid_field(name, format!("must have at most {limit_bytes} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn require_distinct_ids(received: &[ReceivedFile]) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    let mut ids =
        received.iter().enumerate().filter_map(|(index, part)| Some((index, part.fields.external_id.as_ref()?)));
    match ids.find(|(_, id)| !seen.insert(*id)) {
        Some((index, _)) => {
            Err(of_file(index, invalid_field("externalId", "must be different for each file of an upload")))
        }
        None => Ok(()),
    }
}

async fn store(
    blobs: &Blobs,
    workspace: WorkspaceId,
    part: Field,
    kind: FormKind,
    limit: u64,
) -> Result<ReceivedFile, Problem> {
    let name = match (part.name(), declared_name(&part)) {
        (Some("file"), Some(name)) => clean_name(&name),
        (Some("file"), None) => return Err(invalid_field("file", "the part has no file name")),
        (other, _) => {
            let other = other.unwrap_or_default().chars().take(64).collect::<String>();
            return Err(invalid_field(&other, kind.unknown_part()));
        }
    };
    let media_type =
        part.content_type().map_or_else(|| "application/octet-stream".to_owned(), |mime| mime.essence_str().to_owned());
    let id = BlobId::new();
    let stored = blobs.put(workspace, id, part, limit).await.map_err(|error| put_problem(error, &name))?;
    let blob = StoredBlob { id, sha256: stored.sha256, bytes: stored.bytes };
    Ok(ReceivedFile { name, media_type, blob, fields: PartFields::default() })
}

fn put_problem(error: PutError<MultipartError>, name: &str) -> Problem {
    match error {
        PutError::Source(error) => body_problem(error),
        PutError::TooLarge { limit } => {
            Problem::new(Code::PayloadTooLarge).detail(format!("`{name}` has more than {limit} bytes"))
        }
        PutError::StorageFull => Problem::new(Code::StorageFull),
        PutError::Store(error) => Problem::unavailable(5).caused_by(error),
    }
}

fn body_problem(error: MultipartError) -> Problem {
    match error {
        MultipartError::ContentTypeMissing
        | MultipartError::ContentTypeIncompatible
        | MultipartError::ContentTypeParse => {
            Problem::new(Code::UnsupportedMediaType).detail("the content type of an upload must be multipart/form-data")
        }
        MultipartError::Payload(error) if is_too_slow(&error) => too_slow(),
        error => Problem::new(Code::BadRequest).detail(format!("the multipart body is malformed: {error}")),
    }
}

impl FromRequest for MultipartUpload {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Ok(Self { parts: Multipart::new(request.headers(), payload.take()), gate: Gate::of(request) }))
    }
}

api_component!(MultipartUpload as UploadForm {
    fn request_body() -> Option<RequestBody> {
        let schema = ReferenceOr::Reference { _ref: "#/components/schemas/UploadForm".to_owned() };
        let example = json!({ "externalId": "tides/2026", "tags": ["manual"], "file": ["The tide turns at noon."] });
        let example = Example(example);
        let media = MediaType { schema: Some(schema), example: Some(example), ..MediaType::default() };
        Some(RequestBody {
            content: [("multipart/form-data".to_owned(), media)].into(),
            required: Some(true),
            ..RequestBody::default()
        })
    }
});
