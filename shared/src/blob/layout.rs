//! Names and subjects in the bucket.
//!
//! An object is an entry (JSON, on a subject made from its name) that points to the subject of its chunks. Clients treat the
//! last part of that subject as opaque. Here it names the blob and the start of the upload, so that chunks without an entry can
//! be traced and removed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::ListedUpload;
use crate::id::{self, BlobId, WorkspaceId};

#[derive(Clone, Debug)]
pub(super) struct Layout {
    bucket: String,
}

impl Layout {
    pub(super) fn new(bucket: &str) -> Self {
        Self { bucket: bucket.to_owned() }
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(super) fn stream(&self) -> String {
        format!("OBJ_{}", self.bucket)
    }

    pub(super) fn subjects(&self) -> Vec<String> {
        vec![self.chunks_of_all(), format!("$O.{}.M.>", self.bucket)]
    }

    /// The subject of a blob's entry.
    pub(super) fn entry(&self, workspace: WorkspaceId, blob: BlobId) -> String {
        format!("$O.{}.M.{}", self.bucket, URL_SAFE.encode(object_name(workspace, blob)))
    }

    /// The subject of the chunks that an entry points to.
    pub(super) fn chunks(&self, nuid: &str) -> String {
        format!("$O.{}.C.{nuid}", self.bucket)
    }

    /// The pattern of the chunks of all uploads of a blob.
    pub(super) fn chunks_of_blob(&self, workspace: WorkspaceId, blob: BlobId) -> String {
        self.chunks(&format!("{workspace}.{blob}.*"))
    }

    /// The pattern of the chunks of all blobs.
    pub(super) fn chunks_of_all(&self) -> String {
        self.chunks(">")
    }

    /// The upload to which the chunks of a subject belong; `None` if another program made the subject.
    pub(super) fn parse_chunks(&self, subject: &str) -> Option<ListedUpload> {
        let mut parts = subject.strip_prefix(&self.chunks(""))?.split('.').map(Uuid::try_parse);
        let mut next = || parts.next()?.ok();
        Some(ListedUpload { workspace: next()?.into(), blob: next()?.into(), started: time_of(next()?)? })
    }
}

/// The object's name, as NATS tools show it.
pub(super) fn object_name(workspace: WorkspaceId, blob: BlobId) -> String {
    format!("{workspace}/{blob}")
}

/// A fresh id of the chunks of one upload.
pub(super) fn new_nuid(workspace: WorkspaceId, blob: BlobId) -> String {
    format!("{workspace}.{blob}.{}", id::new())
}

/// The creation time of a time-ordered id.
fn time_of(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(seconds.try_into().ok()?, nanos)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::clock;

    #[test]
    fn subject_of_chunks_names_the_blob_and_the_start_of_the_upload() {
        let layout = Layout::new("files");
        let (workspace, blob) = (WorkspaceId::new(), BlobId::new());
        let subject = layout.chunks(&new_nuid(workspace, blob));
        let listed = layout.parse_chunks(&subject).unwrap();
        assert_eq!((listed.workspace, listed.blob), (workspace, blob));
        assert!((clock::now() - listed.started).abs() < TimeDelta::minutes(1));

        let pattern = layout.chunks_of_blob(workspace, blob);
        assert!(subject.starts_with(pattern.strip_suffix('*').unwrap()));
    }

    #[test]
    fn subjects_of_other_programs_are_ignored() {
        let layout = Layout::new("files");
        assert!(layout.parse_chunks("$O.files.C.VQ1kEuCJ9MiYCVAWmrqmSY").is_none());
        assert!(layout.parse_chunks("$O.other.C.VQ1kEuCJ9MiYCVAWmrqmSY").is_none());
    }
}
