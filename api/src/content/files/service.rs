//! Accepting an upload: bytes first, then rows. A crash in between leaves bytes for the garbage collector, and never a row
//! without bytes.

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

use super::multipart::ReceivedFile;
use crate::{problem::Problem, quota};

/// Adds the files, and a run of the workspace's `index` pipeline for each. `referenced` gets the ids of the blobs that the
/// rows refer to.
pub async fn accept(
    tx: &Tx,
    platform: &Platform,
    workspace: WorkspaceId,
    context: &ActorContext,
    received: &[ReceivedFile],
    referenced: &mut HashSet<BlobId>,
) -> Result<Vec<FileView>, Problem> {
    let pipeline = store::run::builtin_pipeline(tx, workspace).await?.ok_or_else(Problem::not_found)?;
    let definition: Definition = serde_json::from_value(pipeline.definition.clone()).map_err(Problem::internal)?;
    let plan = plan::compile(&definition).map_err(Problem::internal)?;
    let mut files = Vec::with_capacity(received.len());
    for part in received {
        let blob = store::file::register_blob(tx, workspace, part.blob).await?;
        referenced.insert(blob);
        let file = index(tx, workspace, context.actor.account(), blob, part, (&pipeline, plan.stage(0))).await?;
        let view = store::file::find(tx, workspace, file).await?;
        files.push(view.ok_or_else(|| Problem::internal("a file is missing after its insertion"))?);
    }
    // No row refers to a rejected upload: its bytes are deleted at once.
    quota::check(tx, platform, workspace).await.inspect_err(|_| referenced.clear())?;
    // Activities and events last: they lock the workspace's sequences until the end of the transaction.
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
    part: &ReceivedFile,
    (pipeline, stage): (&Pipeline, &str),
) -> Result<FileId, Problem> {
    let new =
        NewFile { name: part.name.clone(), media_type: part.media_type.clone(), blob: part.blob, created_by: account };
    let (file, version) = store::file::insert(tx, workspace, blob, &new).await?;
    let (_, item) = store::run::insert(tx, workspace, pipeline, file, version, stage).await?;
    outbox::enqueue(tx, workspace, &RunSegment { item }).await?;
    Ok(file)
}

/// Deletes stored bytes without a reference: copies of content that the workspace already has, and the parts of a failed
/// upload. The garbage collector deletes the ones that cannot be deleted now.
pub async fn delete_unreferenced(
    blobs: &Blobs,
    workspace: WorkspaceId,
    received: &[ReceivedFile],
    referenced: &HashSet<BlobId>,
) {
    for part in received.iter().filter(|part| !referenced.contains(&part.blob.id)) {
        if let Err(error) = blobs.delete(workspace, part.blob.id).await {
            tracing::warn!(error = &error as &dyn std::error::Error, blob.id = %part.blob.id, "unreferenced bytes could not be deleted; the garbage collector will delete them");
        }
    }
}
