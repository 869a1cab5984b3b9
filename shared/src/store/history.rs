//! The past of collections: since when they keep what new results replace.

use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, raw_sql};

use super::{Conn, Error, Result, Tx, sql};
use crate::id::{CollectionId, WorkspaceId};

/// Locks the history of a workspace until the transaction ends, and returns the time. Publications, new snapshots and changes of
/// [`set_days`] follow each other: whatever was published before this time is committed, and nothing will be published before it.
pub async fn lock(tx: &Tx, workspace: WorkspaceId) -> Result<DateTime<Utc>> {
    // The clock is read when the lock is held: `now()` would be the time when the transaction began.
    let locked = raw_sql!(
        Postgres,
        "with locked as materialized (
             select workspace_id from workspace_usage where workspace_id = {workspace} for no key update)
         select clock_timestamp() from locked"
    );
    sql::first_value(tx, locked).await?.ok_or_else(|| Error::RecordNotFound("the workspace".to_owned()))
}

/// Sets for how many days a collection keeps what new results replace. Its history is complete from now on, or for as long as it
/// was kept before.
pub async fn set_days(tx: &Tx, workspace: WorkspaceId, collection: CollectionId, days: i32) -> Result<()> {
    let now = lock(tx, workspace).await?;
    let set = raw_sql!(
        Postgres,
        "update collection set history_days = {days}::integer,
             history_since = case
                 when {days}::integer = 0 then null
                 when history_days = 0 then {now}::timestamptz
                 else greatest(history_since, {now}::timestamptz - make_interval(days => history_days)) end
         where workspace_id = {workspace} and id = {collection}"
    );
    sql::execute(tx, set).await?;
    Ok(())
}

/// Whether searches of a past time are complete.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Kept {
    /// Whether the time has not come yet.
    pub is_future: bool,
    /// The names of the collections that have not kept everything of the time.
    pub incomplete: Vec<String>,
}

/// What collections have kept of a time. The time of a snapshot is complete in all of them, and so is a time before a collection
/// was created.
pub async fn kept(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collections: Vec<CollectionId>,
    at: DateTime<Utc>,
) -> Result<Kept> {
    let kept = raw_sql!(
        Postgres,
        "select {at}::timestamptz > clock_timestamp() as is_future,
             array(
                 select c.name from collection c
                 where c.workspace_id = {workspace} and c.id = any({collections}) and c.created_at <= {at}
                     and (c.history_days = 0
                         or greatest(c.history_since, now() - make_interval(days => c.history_days)) > {at})
                     and not exists (select from snapshot s where s.workspace_id = {workspace} and s.at = {at})
                 order by c.name) as incomplete"
    );
    sql::first(conn, kept).await?.ok_or_else(|| Error::RecordNotFound("the history".to_owned()))
}

/// Whether passages of a past time have vectors of another space than their collection has by now.
pub async fn has_other_spaces(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collections: Vec<CollectionId>,
    at: DateTime<Utc>,
) -> Result<bool> {
    let others = raw_sql!(
        Postgres,
        "select exists (
             select from target t join collection c on c.workspace_id = t.workspace_id and c.id = t.collection_id
             where t.workspace_id = {workspace} and t.collection_id = any({collections})
                 and t.superseded_at > {at} and t.published_at <= {at} and t.vector_count > 0
                 and not exists (
                     select from embedding e
                     where e.workspace_id = t.workspace_id and e.space_id = c.space_id and e.target_id = t.id))"
    );
    Ok(sql::first_value(conn, others).await?.unwrap_or_default())
}
