//! Changing chunks, under the locks of the workspace and the file.

use nvisy_shared::{
    domain::{activity::Action, chunk::MAX_CHANGED_CHUNKS, event::EventType},
    id::ChunkId,
    job::EmbedChunks,
    platform::Platform,
    queue::outbox,
    store::{self, chunk::ChunkRow},
};
use serde_json::json;

use crate::{
    auth::member::{Member, WriteCollections},
    http::{client_info::ClientInfo, etag::check_revision},
    problem::{Code, FieldError, Problem},
};

/// The fields to change; `None`: unchanged.
#[derive(Debug)]
pub struct ChunkChange {
    pub disabled: Option<bool>,
    /// `Some(None)`: the text of the source.
    pub text: Option<Option<String>>,
}

pub async fn update(
    platform: &Platform,
    member: &Member<WriteCollections>,
    client: &ClientInfo,
    id: ChunkId,
    revisions: Option<Vec<i32>>,
    requested: &ChunkChange,
) -> Result<ChunkRow, Problem> {
    let workspace = member.workspace;
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            // The lock makes concurrent changes see each other's number.
            member.lock(change).await?;
            let chunk = store::chunk::lock(change, workspace, id).await?.ok_or_else(Problem::not_found)?;
            check_revision(chunk.revision, revisions.as_deref())?;
            let mut fields = Vec::new();
            if let Some(disabled) = requested.disabled.filter(|disabled| *disabled != chunk.disabled) {
                store::chunk::set_disabled(change, workspace, &chunk, disabled).await?;
                fields.push("disabled");
            }
            // The text of the source is no other text.
            let text = requested.text.as_ref().map(|text| text.as_deref().filter(|text| *text != chunk.source()));
            if let Some(text) = text.filter(|text| text.unwrap_or(chunk.source()) != chunk.text) {
                let without_vectors = store::chunk::set_text(change, workspace, &chunk, text).await?;
                for job in EmbedChunks::of(chunk.collection_id, &without_vectors) {
                    outbox::enqueue(change, workspace, &job).await?;
                }
                fields.push("text");
            }
            if fields.is_empty() {
                return Ok(chunk);
            }
            if store::chunk::count_changes(change.tx(), workspace).await? > MAX_CHANGED_CHUNKS {
                let error = FieldError::new("chunks", format!("at most {MAX_CHANGED_CHUNKS} can be changed"));
                return Err(Problem::new(Code::QuotaExceeded).fields(vec![error]));
            }
            let chunk = store::chunk::find(change.tx(), workspace, id).await?.ok_or_else(Problem::not_found)?;
            let details = json!({
                "fileId": chunk.file_id,
                "collectionId": chunk.collection_id,
                "fields": fields,
                "disabled": chunk.disabled,
                "edited": chunk.original_text.is_some(),
            });
            change.audit_with(Action::ChunkUpdated, id, details.clone());
            change.emit(EventType::ChunkUpdated, id, details);
            Ok(chunk)
        })
        .await
}
