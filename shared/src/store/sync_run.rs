//! Runs that synchronise files with connections: their counts of objects, and whether one goes on.

use sea_orm::raw_sql;

use super::{Conn, Result, Tx, history, sql};
use crate::id::{PipelineId, RunId, WorkspaceId};

/// Counts of the objects that a run has listed, and of the items that they have become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "columns of `run`")]
pub struct SyncCounts {
    pub pending: i32,
    /// Items that have been added.
    pub items: i32,
    pub seen: i64,
    pub new: i64,
    pub changed: i64,
    pub unchanged: i64,
    pub deleted: i64,
    pub failed: i64,
}

/// Adds to the counts of a run.
pub async fn add_counts(tx: &Tx, workspace: WorkspaceId, run: RunId, counts: SyncCounts) -> Result<()> {
    let SyncCounts { pending, items, seen, new, changed, unchanged, deleted, failed } = counts;
    let added = raw_sql!(
        Postgres,
        "update run set items = items + {items}, items_open = items_open + {items},
             objects_pending = objects_pending + {pending}, objects_seen = objects_seen + {seen},
             objects_new = objects_new + {new}, objects_changed = objects_changed + {changed},
             objects_unchanged = objects_unchanged + {unchanged}, objects_deleted = objects_deleted + {deleted},
             objects_failed = objects_failed + {failed},
             state = case when state = 'queued' then 'running' else state end
         where workspace_id = {workspace} and id = {run}"
    );
    sql::execute(tx, added).await?;
    Ok(())
}

/// Opens a run again for objects that are to be fetched once more.
pub async fn reopen(tx: &Tx, workspace: WorkspaceId, run: RunId, objects: i32) -> Result<()> {
    history::lock(tx, workspace).await?;
    let reopened = raw_sql!(
        Postgres,
        "update run set state = 'running', finished_at = null, objects_pending = objects_pending + {objects},
             objects_failed = objects_failed - {objects}, failure_code = null, failure_detail = null,
             webhook_delivered_at = null, webhook_failure = null
         where workspace_id = {workspace} and id = {run}"
    );
    sql::execute(tx, reopened).await?;
    Ok(())
}

/// Whether a sync of a pipeline goes on, other than this run.
pub async fn has_open(
    conn: &impl Conn,
    workspace: WorkspaceId,
    pipeline: PipelineId,
    except: Option<RunId>,
) -> Result<bool> {
    let open = raw_sql!(
        Postgres,
        "select exists (
             select from run where workspace_id = {workspace} and pipeline_id = {pipeline} and syncs and finished_at is null
                 and ({except}::uuid is null or id <> {except}))"
    );
    Ok(sql::first_value(conn, open).await?.unwrap_or(false))
}
