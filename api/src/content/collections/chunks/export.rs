//! Exporting chunks batch by batch: memory does not grow with their number, and the export holds no connection while the client
//! reads.

use std::collections::{BTreeMap, HashMap};

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::{BodyStream, BoxBody},
    http::header,
};
use apistos::{
    paths::{MediaType, Response, Responses},
    reference_or::ReferenceOr,
};
use bytes::Bytes;
use futures::{Stream, stream};
use nvisy_shared::{
    id::WorkspaceId,
    store::{
        self, Db,
        chunk::{ChunkFilter, ChunkPosition},
    },
};

use super::wire::Chunk;
use crate::{
    auth::member::AccessGrant,
    http::api_component::{api_component, sent_header},
};

/// Chunks that one statement reads.
const BATCH_SIZE: i64 = 100;
const MEDIA_TYPE: &str = "application/jsonl";

/// A response with all chunks that match a filter.
pub struct ChunkExport {
    pub db: Db,
    pub workspace: WorkspaceId,
    /// The caller's access, which may end during the export.
    pub access: AccessGrant,
    pub filter: ChunkFilter,
    pub has_vectors: bool,
    /// The last chunk that was read.
    pub after: Option<ChunkPosition>,
}

impl ChunkExport {
    fn chunked_body(self) -> impl Stream<Item = Result<Bytes, ExportError>> {
        stream::try_unfold(self, |mut export| async move { Ok(export.next().await?.map(|lines| (lines, export))) })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ExportError> {
        if !self.access.is_valid(&self.db).await? {
            return Err(ExportError::AccessRevoked);
        }
        let rows = store::chunk::list(&self.db, self.workspace, &self.filter, self.after, BATCH_SIZE).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.after = Some((last.target_id, last.ordinal));
        let mut vectors = if self.has_vectors {
            let ids = rows.iter().map(|row| row.id).collect();
            store::chunk::vectors(&self.db, self.workspace, ids).await?
        } else {
            HashMap::new()
        };
        let mut lines = Vec::new();
        for (row, language) in store::chunk::detect_languages(rows).await? {
            let vector = vectors.remove(&row.id);
            serde_json::to_writer(&mut lines, &Chunk::from((row, language)).with_vector(vector))?;
            lines.push(b'\n');
        }
        Ok(Some(lines.into()))
    }
}

/// Why an export ends early: the connection is aborted, so that a client cannot take a part for the whole.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("chunks cannot be read")]
    Store(#[from] store::Error),
    #[error("a chunk cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("the caller has lost access to the workspace")]
    AccessRevoked,
}

impl Responder for ChunkExport {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, MEDIA_TYPE))
            .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"chunks.jsonl\""))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(BodyStream::new(Box::pin(self.chunked_body())))
    }
}

api_component!(ChunkExport as Chunk {
    fn responses(_: Option<String>) -> Option<Responses> {
        let schema = ReferenceOr::Reference { _ref: "#/components/schemas/Chunk".to_owned() };
        let media = MediaType { schema: Some(schema), ..MediaType::default() };
        let disposition = ("Content-Disposition".to_owned(), sent_header("`attachment`, with a file name."));
        let response = Response {
            headers: BTreeMap::from([disposition]),
            content: BTreeMap::from([(MEDIA_TYPE.to_owned(), media)]),
            ..Response::default()
        };
        let responses = BTreeMap::from([("200".to_owned(), ReferenceOr::Object(response))]);
        Some(Responses { responses, ..Responses::default() })
    }
});
