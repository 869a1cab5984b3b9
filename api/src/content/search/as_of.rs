//! The time of which a search finds passages.

use chrono::{DateTime, Utc};
use nvisy_shared::{
    domain::{history, slug::is_slug},
    id::{CollectionId, SnapshotId, WorkspaceId},
    store::{self, Conn, collection::CollectionSpace, history::Kept, search::Visibility, snapshot::SnapshotKey},
};

use crate::{
    http::extract::invalid_field,
    problem::{Code, Problem},
};

/// The time of which a search finds passages, and the searched collections, which must have kept it.
#[derive(Debug, Default)]
pub struct AsOf {
    pub visibility: Visibility,
    searched: Vec<CollectionId>,
}

impl AsOf {
    /// The time of a search: now, an RFC 3339 time, or the time of a snapshot with this name or id. 404 for an unknown snapshot,
    /// 422 for the future, and 409 if a collection has not kept all of its passages: the search would find some of them only.
    pub async fn find(
        conn: &impl Conn,
        workspace: WorkspaceId,
        requested: Option<&str>,
        chosen: &[&CollectionSpace],
    ) -> Result<Self, Problem> {
        let Some(requested) = requested else { return Ok(Self::default()) };
        let time = match history::parse_time(requested) {
            Some(time) => time,
            None => {
                let key = snapshot_key(requested).ok_or_else(|| {
                    invalid_field(
                        "asOf",
                        "must be a time such as 2026-01-31T12:00:00Z, or the name or id of a snapshot",
                    )
                })?;
                let snapshot = store::snapshot::find(conn, workspace, &key).await?;
                snapshot.ok_or_else(|| Problem::not_found().detail("the snapshot does not exist"))?.at
            }
        };
        let as_of = Self {
            visibility: Visibility::At(time),
            searched: chosen.iter().map(|collection| collection.id).collect(),
        };
        as_of.require_kept(conn, workspace).await?;
        Ok(as_of)
    }

    /// 409 unless the collections have kept the time. To be called behind the search, too: a snapshot may have been deleted
    /// meanwhile, and what it kept.
    pub async fn require_kept(&self, conn: &impl Conn, workspace: WorkspaceId) -> Result<(), Problem> {
        let Some(time) = self.visibility.past() else { return Ok(()) };
        require_kept(conn, workspace, "asOf", self.searched.clone(), time).await
    }

    /// Why a search by vector does not find all passages of a past time.
    pub async fn missing_vectors(&self, conn: &impl Conn, workspace: WorkspaceId) -> Result<Option<String>, Problem> {
        let Some(time) = self.visibility.past() else { return Ok(None) };
        let others = store::history::has_other_spaces(conn, workspace, self.searched.clone(), time).await?;
        let reason =
            "passages of the time have vectors of another model than their collection has by now: only words find them";
        Ok(others.then(|| reason.to_owned()))
    }
}

/// 422 for a time of the future in the field, and 409 for one that a collection has not kept.
pub async fn require_kept(
    conn: &impl Conn,
    workspace: WorkspaceId,
    field: &str,
    collections: Vec<CollectionId>,
    time: DateTime<Utc>,
) -> Result<(), Problem> {
    let Kept { is_future, incomplete } = store::history::kept(conn, workspace, collections, time).await?;
    if is_future {
        return Err(invalid_field(field, "must not be in the future"));
    }
    if !incomplete.is_empty() {
        let names: Vec<String> = incomplete.iter().map(|name| format!("`{name}`")).collect();
        let detail = format!("not all passages of this time are kept in {}", names.join(", "));
        return Err(Problem::new(Code::HistoryNotKept).detail(detail));
    }
    Ok(())
}

/// The snapshot with this id or name; `None`: no snapshot can have this name.
pub fn snapshot_key(text: &str) -> Option<SnapshotKey> {
    match text.parse() {
        Ok(id) => Some(SnapshotKey::Id(SnapshotId(id))),
        Err(_) => is_slug(text).then(|| SnapshotKey::Name(text.to_owned())),
    }
}
