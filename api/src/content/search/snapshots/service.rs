//! Creating and deleting snapshots, under the workspace's lock.

use chrono::{DateTime, Utc};
use nvisy_shared::{
    domain::{activity::Action, history::MAX_SNAPSHOTS},
    entity::snapshot::Model,
    id::WorkspaceId,
    platform::Platform,
    store::{self, Conn, change::Change, snapshot::SnapshotKey},
};
use serde::Serialize;

use super::super::as_of::require_kept;
use crate::{
    auth::member::{Member, WriteCollections},
    http::client_info::ClientInfo,
    problem::{Code, FieldError, Problem},
};

/// A snapshot to create.
#[derive(Debug, Serialize)]
pub struct RequestedSnapshot {
    pub name: String,
    pub description: String,
    /// `None`: now.
    pub at: Option<DateTime<Utc>>,
}

pub async fn find(conn: &impl Conn, workspace: WorkspaceId, key: &SnapshotKey) -> Result<Model, Problem> {
    store::snapshot::find(conn, workspace, key).await?.ok_or_else(Problem::not_found)
}

/// Creates a snapshot. 409 unless all collections have kept everything of a past time.
pub async fn create(
    change: &mut Change,
    member: &Member<WriteCollections>,
    requested: &RequestedSnapshot,
) -> Result<Model, Problem> {
    let workspace = member.workspace;
    // The lock makes concurrent creations and deletions see each other.
    member.lock(change).await?;
    let now = store::history::lock(change, workspace).await?;
    let at = match requested.at {
        Some(at) => {
            let collections = store::collection::spaces(change.tx(), workspace).await?;
            let collections = collections.into_iter().map(|collection| collection.id).collect();
            require_kept(change.tx(), workspace, "at", collections, at).await?;
            at
        }
        None => now,
    };
    let id = store::snapshot::insert(change, workspace, &requested.name, &requested.description, at).await?;
    let id = id.ok_or_else(|| Problem::new(Code::NameTaken))?;
    if store::snapshot::count(change.tx(), workspace).await? > MAX_SNAPSHOTS {
        let error = FieldError::new("snapshots", format!("at most {MAX_SNAPSHOTS} are possible"));
        return Err(Problem::new(Code::QuotaExceeded).fields(vec![error]));
    }
    change.audit(Action::SnapshotCreated, id);
    find(change.tx(), workspace, &SnapshotKey::Id(id)).await
}

pub async fn delete(
    platform: &Platform,
    member: &Member<WriteCollections>,
    client: &ClientInfo,
    key: &SnapshotKey,
) -> Result<(), Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            member.lock(change).await?;
            let id = find(change.tx(), member.workspace, key).await?.id;
            store::snapshot::delete(change, member.workspace, id).await?;
            change.audit(Action::SnapshotDeleted, id);
            Ok(())
        })
        .await
}
