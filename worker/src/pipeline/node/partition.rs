//! Transform: bytes to a document, extracted in a child process.

use std::{os::unix::fs::FileExt, sync::Arc};

use async_trait::async_trait;
use futures::stream;
use nvisy_extract::{
    Document, ExtractError, ExtractLimits, FileError, FileErrorKind, FileInfo, MediaType, SNIFF_BYTES, sniff,
};
use nvisy_shared::{
    blob::PutError,
    domain::failure::{Failure, FailureCode},
    id::BlobId,
    store::{
        self,
        file::{Extraction, StoredBlob},
    },
};

use sha2::{Digest, Sha256};

use crate::{
    pipeline::{
        artifact::{Artifact, StagedFile},
        contract::{Effect, Node, Scope, wrong_input},
    },
    runner::JobError,
};

/// See the module.
pub(super) struct PartitionNode;

#[async_trait]
impl Node for PartitionNode {
    async fn run(&self, scope: &Scope<'_>, input: Artifact, effects: &mut Vec<Effect>) -> Result<Artifact, JobError> {
        let Artifact::File(file) = input else { return Err(wrong_input("partition")) };
        let settings = &scope.cx.config.extract;
        let limits = ExtractLimits {
            memory_bytes: settings.memory_bytes,
            wall_seconds: settings.seconds,
            max_pages: settings.pages,
            max_text_bytes: settings.text_bytes,
            max_expanded_bytes: settings.expanded_bytes,
        };
        let media_type = sniff_media_type(&file).map_err(JobError::retry("the staged file cannot be read"))?;
        let info = FileInfo { file_name: file.name, declared_type: Some(file.media_type) };
        let read = nvisy_extract::run(&scope.cx.extractor, &file.file, &info, &limits).await;
        let document = read.map_err(|error| match error {
            ExtractError::File(error) => JobError::Fail(failure(error)),
            error @ ExtractError::Process(_) => JobError::retry("the extraction process cannot be started")(error),
        })?;
        let (text_blob_id, new) = store_text(scope, &document).await?;
        let extraction =
            Extraction { media_type: media_type.as_str().to_owned(), text_blob_id, page_count: document.page_count };
        effects.push(Effect::Extraction(extraction, new));
        Ok(Artifact::Document(Arc::new(document)))
    }
}

fn failure(FileError { kind, detail }: FileError) -> Failure {
    let code = match kind {
        FileErrorKind::UnsupportedMedia => FailureCode::UnsupportedMedia,
        FileErrorKind::Encrypted => FailureCode::Encrypted,
        FileErrorKind::Corrupt => FailureCode::Corrupt,
        FileErrorKind::Empty => FailureCode::Empty,
        FileErrorKind::TooLarge => FailureCode::TooLarge,
        FileErrorKind::TimedOut => FailureCode::TimedOut,
        FileErrorKind::OutOfMemory => FailureCode::OutOfMemory,
    };
    Failure::new(code, detail)
}

/// The media type of the content, which may differ from the declared one. The file was just written, so the
/// blocking read is served from memory.
fn sniff_media_type(file: &StagedFile) -> std::io::Result<MediaType> {
    let mut head = [0; SNIFF_BYTES];
    let mut filled = 0;
    while filled < head.len() {
        match file.file.read_at(&mut head[filled..], filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(sniff(&head[..filled], &file.name, Some(&file.media_type)))
}

/// Stores the text of which chunks are ranges, unless it equals the content of the file.
async fn store_text(scope: &Scope<'_>, document: &Document) -> Result<(BlobId, Option<StoredBlob>), JobError> {
    let source = store::file::source(&scope.cx.db, scope.workspace, scope.item.version_id).await?;
    let source = source.ok_or(JobError::Obsolete)?;
    if source.sha256 == Sha256::digest(document.text.as_bytes()).as_slice() {
        return Ok((source.blob_id, None));
    }
    let id = BlobId::new();
    let limit = document.text.len() as u64;
    let text = stream::iter([Ok::<_, std::convert::Infallible>(document.text.clone().into())]);
    let stored = scope.cx.blobs.put(scope.workspace, id, text, limit).await.map_err(|error| match error {
        PutError::TooLarge { .. } => {
            JobError::Fail(Failure::new(FailureCode::TooLarge, "the extracted text is too large to store"))
        }
        // JetStream may also respond with a timeout if its disk is full. The text is valid, so the job waits.
        error @ (PutError::StorageFull | PutError::Store(_)) => {
            JobError::storage_full("the object store is full or unavailable")(error)
        }
        error => JobError::retry("the extracted text cannot be stored")(error),
    })?;
    Ok((id, Some(StoredBlob { id, sha256: stored.sha256, bytes: stored.bytes })))
}
