//! Exporting chunks batch by batch.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody};
use apistos::{paths::Responses, reference_or::ReferenceOr};
use bytes::Bytes;
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
    http::{
        api_component::api_component,
        attachment::{JSON_LINES, PartError, Parts, attachment, attachment_responses, json_lines},
    },
};

/// Chunks that one statement reads.
const BATCH_SIZE: i64 = 100;

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

impl Parts for ChunkExport {
    async fn next(&mut self) -> Result<Option<Bytes>, PartError> {
        if !self.access.is_valid(&self.db).await? {
            return Err(PartError::AccessRevoked);
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
        let chunks = store::chunk::detect_languages(rows).await?.into_iter().map(|(row, language)| {
            let vector = vectors.remove(&row.id);
            Chunk::from((row, language)).with_vector(vector)
        });
        Ok(Some(json_lines(chunks)?))
    }
}

impl Responder for ChunkExport {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        attachment("chunks.jsonl", JSON_LINES, self)
    }
}

api_component!(ChunkExport as Chunk {
    fn responses(_: Option<String>) -> Option<Responses> {
        let chunk = ReferenceOr::Reference { _ref: "#/components/schemas/Chunk".to_owned() };
        Some(attachment_responses([(JSON_LINES, chunk)]))
    }
});
