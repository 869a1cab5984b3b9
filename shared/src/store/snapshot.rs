//! Snapshots: times with names. The targets that search read then are kept, in all collections of the workspace.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, raw_sql};

use super::{Conn, Result, Tx, sql};
use crate::{
    entity::snapshot::{Column, Entity, Model},
    id::{SnapshotId, WorkspaceId},
};

/// The name or the id of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SnapshotKey {
    /// Its id.
    Id(SnapshotId),
    /// Its name, a slug.
    Name(String),
}

/// Adds a snapshot. `None`: the workspace has one of this name. The history is locked ([`super::history::lock`]).
pub async fn insert(
    tx: &Tx,
    workspace: WorkspaceId,
    name: &str,
    description: &str,
    at: DateTime<Utc>,
) -> Result<Option<SnapshotId>> {
    let id = SnapshotId::new();
    let inserted = raw_sql!(
        Postgres,
        "insert into snapshot (workspace_id, id, name, description, at)
         values ({workspace}, {id}, {name}, {description}, {at})
         on conflict (workspace_id, name) do nothing"
    );
    Ok((sql::execute(tx, inserted).await? == 1).then_some(id))
}

/// The number of snapshots.
pub async fn count(conn: &impl Conn, workspace: WorkspaceId) -> Result<u64> {
    Entity::find().filter(Column::WorkspaceId.eq(workspace)).count(conn).await
}

/// A snapshot.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, key: &SnapshotKey) -> Result<Option<Model>> {
    let of_workspace = Entity::find().filter(Column::WorkspaceId.eq(workspace));
    let select = match key {
        SnapshotKey::Id(id) => of_workspace.filter(Column::Id.eq(*id)),
        SnapshotKey::Name(name) => of_workspace.filter(Column::Name.eq(name.as_str())),
    };
    select.one(conn).await
}

/// Snapshots before `before`, newest first, at most `limit`.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    before: Option<SnapshotId>,
    limit: i64,
) -> Result<Vec<Model>> {
    let select = Entity::find().filter(Column::WorkspaceId.eq(workspace));
    sql::newest(select, Column::Id, before, limit).all(conn).await
}

/// Deletes a snapshot. The worker deletes the targets that only it has kept. `false`: there is none.
pub async fn delete(tx: &Tx, workspace: WorkspaceId, id: SnapshotId) -> Result<bool> {
    Ok(Entity::delete_by_id((workspace, id)).exec(tx).await?.rows_affected == 1)
}
