//! Reading objects into the object store.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use nvisy_shared::{
    blob::PutError,
    domain::{
        failure::{Failure, FailureCode},
        file::clean_name,
    },
    id::BlobId,
    store::{self, file::StoredBlob, synced_file::SyncedFile},
};

use super::SyncedSource;
use crate::{
    connectors::{CallFailure, DynSource, ListedObject},
    context::Context,
    runner::JobError,
};

/// Objects that a job reads at the same time, unless the connection allows fewer calls.
pub(crate) const PARALLEL_READS: usize = 8;
/// The media type of an object whose source does not know it.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// An object whose content is stored.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    /// The revision of the content.
    pub(crate) revision: String,
    /// The file to be made of it.
    pub(crate) file: SyncedFile,
}

/// The outcome of a batch.
#[derive(Debug, Default)]
pub(crate) struct FetchResult {
    /// Those that are stored.
    pub(crate) fetched: Vec<Fetched>,
    /// Those that cannot be read: id and reason.
    pub(crate) failed: Vec<(String, Failure)>,
    /// Why the others were not read.
    pub(crate) stopped: Option<Stop>,
}

/// Why a batch ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The system does not give the others now.
    Call(CallFailure),
    /// The object store or the database does not take them.
    Job(JobError),
}

/// Reads objects, `parallel` at a time, until one fails for a reason that concerns the others too.
pub(crate) async fn fetch(
    cx: &Context,
    of: &SyncedSource,
    source: &DynSource,
    objects: Vec<ListedObject>,
    parallel: usize,
) -> Result<FetchResult, JobError> {
    let usage = store::usage::find(&cx.db, of.workspace, cx.quota()).await?.ok_or(JobError::Obsolete)?;
    let free = u64::try_from(usage.limits.bytes - usage.used.bytes).unwrap_or(0);
    let limits = Limits { object: of.max_bytes(cx), free };
    let mut reads = stream::iter(objects)
        .map(|object| async move {
            let result = fetch_one(cx, of, source, &object, limits).await;
            (object, result)
        })
        .buffer_unordered(parallel.max(1));
    let mut result = FetchResult::default();
    while let Some((object, read)) = reads.next().await {
        match read {
            Ok(fetched) => result.fetched.push(fetched),
            Err(Stop::Call(CallFailure::Item(failure))) => result.failed.push((object.external_id, failure)),
            Err(stop) => {
                // Reads in progress end here, and what they have stored is removed.
                result.stopped = Some(stop);
                break;
            }
        }
    }
    Ok(result)
}

/// The largest number of bytes of an object.
#[derive(Clone, Copy, Debug)]
struct Limits {
    object: u64,
    free: u64,
}

impl Limits {
    fn exceeded(self) -> CallFailure {
        if self.free < self.object {
            CallFailure::item(
                FailureCode::QuotaExceeded,
                "the object exceeds the rest of the workspace's quota of bytes",
            )
        } else {
            let limit = self.object;
            CallFailure::item(
                FailureCode::TooLarge,
                format!("the object is larger than {limit} bytes, the limit of the source"),
            )
        }
    }
}

async fn fetch_one(
    cx: &Context,
    of: &SyncedSource,
    source: &DynSource,
    object: &ListedObject,
    limits: Limits,
) -> Result<Fetched, Stop> {
    let redact = |failure: CallFailure| failure.redacted(&of.connection);
    let limit = limits.object.min(limits.free);
    if object.bytes.is_some_and(|bytes| bytes > limit) {
        return Err(Stop::Call(limits.exceeded()));
    }
    let (content, media_type) = match &object.content {
        Some(content) => {
            let content = content.clone();
            let content: crate::connectors::source::Content =
                Box::pin(stream::once(async move { Ok::<Bytes, CallFailure>(content) }));
            (content, None)
        }
        None => {
            let fetched = source.fetch(object).await.map_err(|failure| Stop::Call(redact(failure)))?;
            (fetched.content, fetched.media_type)
        }
    };
    let id = BlobId::new();
    let put = cx.blobs.put(of.workspace, id, content.into_stream(), limit).await;
    let info = put.map_err(|error| match error {
        PutError::Source(failure) => Stop::Call(redact(failure)),
        PutError::TooLarge { .. } => Stop::Call(limits.exceeded()),
        PutError::StorageFull => Stop::Job(JobError::storage_full("the object store is full")(error_text(&error))),
        PutError::Store(error) => Stop::Job(JobError::retry("an object cannot be stored")(error)),
    })?;
    let declared = media_type.or_else(|| object.media_type.clone()).filter(|kind| is_media_type(kind));
    let file = SyncedFile {
        external_id: object.external_id.clone(),
        name: clean_name(&object.name),
        media_type: declared.unwrap_or_else(|| UNKNOWN_TYPE.to_owned()),
        blob: StoredBlob { id, sha256: info.sha256, bytes: info.bytes },
        metadata: object.metadata.clone(),
        acl: object.acl.clone(),
    };
    Ok(Fetched { revision: object.revision.clone(), file })
}

fn error_text(error: &PutError<CallFailure>) -> String {
    error.to_string()
}

/// Whether a text of another system has the form of a media type.
fn is_media_type(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_graphic() || c == ' ';
    text.len() <= 200 && text.contains('/') && text.chars().all(allowed)
}

/// Removes stored content without a row: copies of content that the workspace has, and objects that were not accepted. Garbage
/// collection removes the ones that cannot be removed now.
pub(crate) async fn delete_unused(cx: &Context, of: &SyncedSource, blobs: Vec<BlobId>) {
    for blob in blobs {
        if let Err(error) = cx.blobs.delete(of.workspace, blob).await {
            tracing::warn!(error = &error as &dyn std::error::Error, blob.id = %blob, "unreferenced bytes could not be deleted; the garbage collector will delete them");
        }
    }
}
