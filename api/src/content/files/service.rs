//! Accepting an upload: bytes first, then rows, so that a crash in between leaves bytes for the sweeper
//! and never a row without bytes.

use std::collections::HashSet;

use nvisy_shared::{
    blob::Blobs,
    domain::{activity::Action, event::EventType, pipeline::Definition, plan},
    id::{AccountId, BlobId, FileId, WorkspaceId},
    job::RunSegment,
    platform::Platform,
    queue::outbox,
    store::{
        self, Tx,
        activity::{self, ActorContext, AuditEntry},
        file::{FileView, NewFile},
        run::Pipeline,
    },
};
use serde_json::json;

use super::multipart::Received;
use crate::{problem::Problem, quota};

/// Adds the files, and for each a run of the workspace's `index` pipeline. The ids of blobs that are now referred to go into `kept`.
pub async fn accept(
    tx: &Tx,
    platform: &Platform,
    workspace: WorkspaceId,
    context: &ActorContext,
    received: &[Received],
    kept: &mut HashSet<BlobId>,
) -> Result<Vec<FileView>, Problem> {
    let pipeline = store::run::builtin_pipeline(tx, workspace).await?.ok_or_else(Problem::not_found)?;
    let definition: Definition = serde_json::from_value(pipeline.definition.clone()).map_err(Problem::internal)?;
    let plan = plan::compile(&definition).map_err(Problem::internal)?;
    let mut files = Vec::with_capacity(received.len());
    for part in received {
        let blob = store::file::register_blob(tx, workspace, part.blob).await?;
        kept.insert(blob);
        let file = index(tx, workspace, context.actor.account(), blob, part, (&pipeline, plan.stage(0))).await?;
        let view = store::file::find(tx, workspace, file).await?;
        files.push(view.ok_or_else(|| Problem::internal("a file was not there right after it was added"))?);
    }
    // What is refused is referred to by nothing: its bytes go at once.
    quota::check(tx, platform, workspace).await.inspect_err(|_| kept.clear())?;
    // Activities and events last: from the first on, the workspace's sequences are locked.
    let uploaded = |file: &FileView| {
        let details = json!({ "versionId": file.version_id, "bytes": file.bytes });
        AuditEntry::new(Action::FileUploaded, file.id.0, details)
    };
    let entries: Vec<AuditEntry> = files.iter().map(uploaded).collect();
    activity::append(tx, &platform.audit_keys, workspace, context, &entries).await?;
    for file in &files {
        let data = json!({ "name": file.name, "versionId": file.version_id });
        store::event::append(tx, workspace, EventType::FileQueued, file.id.0, data).await?;
    }
    Ok(files)
}

async fn index(
    tx: &Tx,
    workspace: WorkspaceId,
    account: Option<AccountId>,
    blob: BlobId,
    part: &Received,
    (pipeline, stage): (&Pipeline, &str),
) -> Result<FileId, Problem> {
    let new =
        NewFile { name: part.name.clone(), media_type: part.media_type.clone(), blob: part.blob, created_by: account };
    let (file, version) = store::file::insert(tx, workspace, blob, &new).await?;
    let (_, item) = store::run::insert(tx, workspace, pipeline, file, version, stage).await?;
    outbox::enqueue(tx, workspace, &RunSegment { item }).await?;
    Ok(file)
}

/// Removes what was stored and is not referred to: copies of content that was there already, and the parts
/// of an upload that failed. What cannot be removed now is the sweeper's.
pub async fn discard(blobs: &Blobs, workspace: WorkspaceId, received: &[Received], kept: &HashSet<BlobId>) {
    for part in received.iter().filter(|part| !kept.contains(&part.blob.id)) {
        if let Err(error) = blobs.delete(workspace, part.blob.id).await {
            tracing::warn!(error = &error as &dyn std::error::Error, blob.id = %part.blob.id, "surplus bytes stay for the sweeper");
        }
    }
}
