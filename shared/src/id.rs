//! Identifiers: UUIDv7, one type for each kind of thing. No other module creates them.

use sea_orm::{DbErr, DeriveValueType, TryFromU64};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A new time-ordered UUID.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this module creates ids")]
pub fn new() -> Uuid {
    Uuid::now_v7()
}

/// The UUID of these parts: the same for the same parts, in the form of version 5 with SHA-256.
#[must_use]
pub fn derived(parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_sha1_bytes(bytes).into_uuid()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, DeriveValueType)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new, time-ordered id.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "a default id would be a new one each time")]
            pub fn new() -> Self {
                Self(new())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        // SeaORM requires it of every primary key; only integer keys can be made from a number.
        impl TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, DbErr> {
                Err(DbErr::ConvertFromU64(stringify!($name)))
            }
        }
    )+};
}

impl WorkspaceId {
    /// The tenant of the deployment, for jobs that belong to no workspace. It has no members.
    pub const SYSTEM: Self = Self(Uuid::nil());
}

ids! {
    /// A person who can sign in.
    AccountId,
    /// A tenant.
    WorkspaceId,
    /// Stored bytes.
    BlobId,
    /// A file, whatever its version.
    FileId,
    /// One version of a file.
    VersionId,
    /// A pipeline.
    PipelineId,
    /// One run of a pipeline.
    RunId,
    /// One file version in a run.
    ItemId,
    /// An entry of an item's log.
    LogEntryId,
    /// A node's durable output.
    ArtifactId,
    /// A collection of a workspace.
    CollectionId,
    /// The rows that a sink has written for an item.
    TargetId,
    /// A connection to another system.
    ConnectionId,
    /// A request to check a connection.
    CheckId,
    /// A question to a connection.
    ConnectionQueryId,
    /// Objects of a source that one job fetches.
    BatchId,
    /// A chunk of a version's text.
    ChunkId,
    /// An embedding space.
    SpaceId,
    /// A set of judged queries.
    QuerySetId,
    /// A judged query.
    JudgedQueryId,
    /// A judgement of a file for a query.
    JudgementId,
    /// An evaluation of a search.
    EvaluationId,
    /// A time with a name, whose state stays searchable.
    SnapshotId,
    /// A unit of work.
    JobId,
    /// An event.
    EventId,
    /// An entry of the activity log.
    ActivityId,
    /// An API token.
    TokenId,
    /// An invite.
    InviteId,
    /// An operator's permission for an address to sign up.
    SignUpPermitId,
    /// A login on a device.
    SessionId,
    /// A mail to be sent.
    MailId,
}
