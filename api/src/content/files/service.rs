//! Accepting an upload: bytes first, then rows. A crash in between leaves bytes for the garbage collector, and never a row
//! without bytes.

use std::collections::HashSet;

use nvisy_shared::{
    blob::Blobs,
    domain::{activity::Action, event::EventType, file::FileState},
    id::{AccountId, BlobId, FileId, WorkspaceId},
    job::RunSegment,
    pipeline,
    platform::Platform,
    queue::outbox,
    store::{
        self, Tx,
        change::Change,
        file::{FileView, NewFile},
        run::Pipeline,
    },
};
use serde_json::json;

use super::multipart::ReceivedFile;
use crate::{problem::Problem, quota};

/// Adds the files, and a run of the pipeline that processes uploads for each. Without an enabled one, files are stored and
/// ready at once, without chunks. `referenced` gets the ids of the blobs that the rows refer to.
pub async fn accept(
    change: &mut Change,
    platform: &Platform,
    workspace: WorkspaceId,
    received: &[ReceivedFile],
    referenced: &mut HashSet<BlobId>,
) -> Result<Vec<FileView>, Problem> {
    // An attempt before this one may have found other blobs.
    referenced.clear();
    let (tx, account) = (change.tx(), change.actor().account());
    let pipeline = match store::run::upload_pipeline(tx, workspace).await? {
        Some(pipeline) => {
            let compiled = pipeline::compile(&pipeline.definition).map_err(Problem::internal)?;
            Some((pipeline, compiled.plan.stage(0).to_owned()))
        }
        None => None,
    };
    let blobs = register_blobs(tx, workspace, received).await?;
    referenced.extend(&blobs);
    let mut files = Vec::with_capacity(received.len());
    for (part, blob) in received.iter().zip(blobs) {
        let pipeline = pipeline.as_ref().map(|(pipeline, stage)| (pipeline, stage.as_str()));
        let file = insert(tx, workspace, account, blob, part, pipeline).await?;
        let view = store::file::find(tx, workspace, file).await?;
        files.push(view.ok_or_else(|| Problem::internal("a file is missing after its insertion"))?);
    }
    // No row refers to a rejected upload: its bytes are deleted at once.
    quota::check(tx, platform, workspace).await.inspect_err(|_| referenced.clear())?;
    for file in &files {
        let details = json!({ "versionId": file.version_id, "bytes": file.bytes });
        change.audit_with(Action::FileUploaded, file.id, details);
        let data = json!({ "name": file.name, "versionId": file.version_id });
        change.emit(EventType::FileQueued, file.id, data);
        if pipeline.is_none() {
            let data = json!({ "versionId": file.version_id, "chunks": 0 });
            change.emit(EventType::FileReady, file.id, data);
        }
    }
    Ok(files)
}

/// Registers the content of all parts and returns its blobs, in the order of the parts. Locks the rows before anything else, and
/// in one order, so that uploads of the same contents do not wait for each other in a circle.
async fn register_blobs(tx: &Tx, workspace: WorkspaceId, received: &[ReceivedFile]) -> Result<Vec<BlobId>, Problem> {
    let mut blobs: Vec<BlobId> = received.iter().map(|part| part.blob.id).collect();
    let mut order: Vec<usize> = (0..received.len()).collect();
    order.sort_by_key(|at| received[*at].blob.sha256);
    for at in order {
        blobs[at] = store::file::register_blob(tx, workspace, received[at].blob).await?;
    }
    Ok(blobs)
}

async fn insert(
    tx: &Tx,
    workspace: WorkspaceId,
    account: Option<AccountId>,
    blob: BlobId,
    part: &ReceivedFile,
    pipeline: Option<(&Pipeline, &str)>,
) -> Result<FileId, Problem> {
    let new =
        NewFile { name: part.name.clone(), media_type: part.media_type.clone(), blob: part.blob, created_by: account };
    let (file, version) = store::file::insert(tx, workspace, blob, &new).await?;
    match pipeline {
        Some((pipeline, stage)) => {
            let (_, item) = store::run::insert(tx, workspace, pipeline, file, version, stage).await?;
            outbox::enqueue(tx, workspace, &RunSegment { item }).await?;
        }
        None => {
            store::file::set_state(tx, workspace, version, FileState::Ready, None).await?;
            store::file::make_live(tx, workspace, file, version).await?;
        }
    }
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
