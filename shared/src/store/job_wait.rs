//! Jobs that wait for a reason that members see and may remedy.

use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, raw_sql};

use super::{Conn, Result, sql};
use crate::id::{ItemId, RunId, WorkspaceId};

/// Why an item waits.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
#[allow(missing_docs, reason = "documented on the struct")]
pub struct ItemWait {
    pub item_id: ItemId,
    pub reason: String,
    pub until: DateTime<Utc>,
}

/// Lets jobs of a workspace go on that wait for a reason that members see, because one may be remedied. Returns their number.
pub async fn wake_blocked(conn: &impl Conn, workspace: WorkspaceId) -> Result<u64> {
    let woken = raw_sql!(
        Postgres,
        "update job set run_at = now() where id in (
             select id from job where workspace_id = {workspace} and state = 'waiting' and spaces is null and wait_reason is not null
                 and run_at > now()
             order by id for update skip locked)"
    );
    sql::execute(conn, woken).await
}

/// Why jobs of a run wait that belong to no item: its sources. The reason, and until when.
pub async fn run_wait(conn: &impl Conn, workspace: WorkspaceId, run: RunId) -> Result<Option<(String, DateTime<Utc>)>> {
    let wait = raw_sql!(
        Postgres,
        "select wait_reason, run_at from job
         where run_id = {run} and workspace_id = {workspace} and wait_reason is not null and payload->>'item' is null
         order by run_at limit 1"
    );
    sql::first_value(conn, wait).await
}

/// The items of these runs that wait for a reason that members see.
pub async fn item_waits(conn: &impl Conn, workspace: WorkspaceId, runs: Vec<RunId>) -> Result<Vec<ItemWait>> {
    let waits = raw_sql!(
        Postgres,
        "select distinct on (item_id) (payload->>'item')::uuid as item_id, wait_reason as reason, run_at as until
         from job where run_id = any({runs}) and workspace_id = {workspace} and wait_reason is not null
             and payload->>'item' is not null
         order by item_id, run_at"
    );
    sql::all(conn, waits).await
}
