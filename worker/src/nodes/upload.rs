//! Source: the bytes of the uploaded file version, staged on disk.

use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use nvisy_shared::store;
use tokio::io::AsyncWriteExt;

use super::{Artifact, Node, StagedFile};
use crate::{
    engine::{Effect, Scope},
    runner::JobError,
};

/// See the module.
pub(super) struct Upload;

#[async_trait]
impl Node for Upload {
    async fn run(&self, scope: &Scope<'_>, _: Artifact, _: &mut Vec<Effect>) -> Result<Artifact, JobError> {
        let source = store::file::source(&scope.cx.db, scope.workspace, scope.item.version_id).await?;
        let source = source.ok_or(JobError::Gone)?;
        let path = tempfile::NamedTempFile::with_prefix("nvisy-")
            .map_err(JobError::retry("no temporary file can be made"))?
            .into_temp_path();
        stage(scope, &source, &path).await?;
        Ok(Artifact::File(StagedFile { path: Arc::new(path), name: source.name, media_type: source.media_type }))
    }
}

async fn stage(scope: &Scope<'_>, source: &store::file::Source, path: &std::path::Path) -> Result<(), JobError> {
    let reading = || JobError::retry("the upload cannot be read");
    let staging = || JobError::retry("the upload cannot be staged on disk");
    let content = scope.cx.blobs.get(scope.workspace, source.blob_id).await.map_err(reading())?;
    let mut content = std::pin::pin!(content);
    let mut file = tokio::fs::File::create(path).await.map_err(staging())?;
    while let Some(bytes) = content.try_next().await.map_err(reading())? {
        file.write_all(&bytes).await.map_err(staging())?;
    }
    file.flush().await.map_err(staging())
}
