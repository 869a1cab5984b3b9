//! Changing chunks, under the locks of the workspace and the file.

use nvisy_shared::{
    domain::{activity::Action, chunk::MAX_CHANGED_CHUNKS, event::EventType},
    id::ChunkId,
    platform::Platform,
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
            let Some(disabled) = requested.disabled.filter(|disabled| *disabled != chunk.disabled) else {
                return Ok(chunk);
            };
            store::chunk::set_disabled(change, workspace, &chunk, disabled).await?;
            if store::chunk::count_changes(change.tx(), workspace).await? > MAX_CHANGED_CHUNKS {
                let error = FieldError::new("chunks", format!("at most {MAX_CHANGED_CHUNKS} can be changed"));
                return Err(Problem::new(Code::QuotaExceeded).fields(vec![error]));
            }
            let details = json!({
                "fileId": chunk.file_id, "collectionId": chunk.collection_id, "fields": ["disabled"], "disabled": disabled,
            });
            change.audit_with(Action::ChunkUpdated, id, details.clone());
            change.emit(EventType::ChunkUpdated, id, details);
            store::chunk::find(change.tx(), workspace, id).await?.ok_or_else(Problem::not_found)
        })
        .await
}
