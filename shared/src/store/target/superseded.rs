//! Superseded targets: those that others have replaced, and that searches of the past read.
//!
//! They are not live, no item has them, and nothing counts them but the usage of the workspace. A time with a collection's history, or
//! with a snapshot, keeps them; the worker deletes the others.

use chrono::{DateTime, Utc};
use sea_orm::raw_sql;

use super::delete_all;
use crate::{
    id::{FileId, TargetId, WorkspaceId},
    store::{Conn, Result, Tx, sql},
};

/// Removes targets of a locked file that others replace at this time: those that were live are superseded if their collection
/// keeps its history or a snapshot was taken while they were live, all others are deleted. The history is locked
/// ([`crate::store::history::lock`]).
pub(super) async fn replace(tx: &Tx, workspace: WorkspaceId, targets: Vec<TargetId>, now: DateTime<Utc>) -> Result<()> {
    if targets.is_empty() {
        return Ok(());
    }
    let superseded = raw_sql!(
        Postgres,
        "update target t set live = false, superseded_at = greatest(t.published_at, {now}), item_id = null
         from collection c
         where t.workspace_id = {workspace} and t.id = any({targets}) and t.live and t.published_at is not null
             and c.workspace_id = t.workspace_id and c.id = t.collection_id
             and (c.history_days > 0
                 or exists (select from snapshot s where s.workspace_id = t.workspace_id and s.at >= t.published_at))"
    );
    sql::execute(tx, superseded).await?;
    let others = raw_sql!(
        Postgres,
        "delete from target where workspace_id = {workspace} and id = any({targets}) and superseded_at is null"
    );
    sql::execute(tx, others).await?;
    Ok(())
}

/// Up to `limit` superseded targets that neither the history of their collection nor a snapshot keeps, workspace by workspace.
pub async fn expired(conn: &impl Conn, limit: i64) -> Result<Vec<(WorkspaceId, TargetId, FileId)>> {
    // An hour longer than the collection has it: a search that was allowed to read them still finds them.
    let expired = raw_sql!(
        Postgres,
        "select t.workspace_id, t.id, t.file_id
         from collection c join target t on t.workspace_id = c.workspace_id and t.collection_id = c.id
         where t.superseded_at is not null
             and (c.history_days = 0
                 or t.superseded_at < now() - make_interval(days => c.history_days, hours => 1))
             and not exists (
                 select from snapshot s
                 where s.workspace_id = t.workspace_id and s.at >= t.published_at and s.at < t.superseded_at)
         order by t.workspace_id, t.id limit {limit}"
    );
    sql::all_values(conn, expired).await
}

/// Deletes [`expired`] targets of a workspace, with their chunks and vectors. Returns their number. None of them can be kept again: a
/// snapshot of a past time is taken only while everything of that time is kept.
pub async fn delete_expired(tx: &Tx, workspace: WorkspaceId, targets: Vec<(TargetId, FileId)>) -> Result<u64> {
    delete_all(tx, workspace, targets).await
}
