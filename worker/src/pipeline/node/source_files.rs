//! Source: the bytes of the uploaded file version, staged on disk without a name.

use std::{fs::File, io::ErrorKind, sync::Arc};

use async_trait::async_trait;
use futures::TryStreamExt;
use nvisy_shared::store;
use tokio::io::AsyncWriteExt;

use crate::{
    pipeline::{
        artifact::{Artifact, StagedFile},
        contract::{Effect, Node, Scope},
    },
    runner::JobError,
};

/// See the module.
pub(super) struct SourceFilesNode;

#[async_trait]
impl Node for SourceFilesNode {
    async fn run(&self, scope: &Scope<'_>, _: Artifact, _: &mut Vec<Effect>) -> Result<Artifact, JobError> {
        let source = store::file::source(&scope.cx.db, scope.workspace, scope.item.version_id).await?;
        let source = source.ok_or(JobError::Obsolete)?;
        // The file has no name that a killed worker could leave behind: the kernel frees it with the last descriptor.
        let file = tempfile::tempfile().map_err(JobError::retry("no temporary file can be created"))?;
        let file = stage(scope, &source, file).await?;
        Ok(Artifact::File(StagedFile { file: Arc::new(file), name: source.name, media_type: source.media_type }))
    }
}

async fn stage(scope: &Scope<'_>, source: &store::file::VersionSource, file: File) -> Result<File, JobError> {
    let reading = || JobError::retry("the upload cannot be read");
    let staging = |error: std::io::Error| match error.kind() {
        ErrorKind::StorageFull => JobError::storage_full("the temporary directory is full")(error),
        _ => JobError::retry("the upload cannot be staged on disk")(error),
    };
    let content = scope.cx.blobs.get(scope.workspace, source.blob_id).await.map_err(reading())?;
    let mut content = std::pin::pin!(content);
    let mut file = tokio::fs::File::from_std(file);
    while let Some(bytes) = content.try_next().await.map_err(reading())? {
        file.write_all(&bytes).await.map_err(staging)?;
    }
    file.flush().await.map_err(staging)?;
    Ok(file.into_std().await)
}
