//! The statistics of collections at a past time.

use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, raw_sql};
use uuid::Uuid;

use crate::{
    id::WorkspaceId,
    store::{Conn, Error, Result, sql},
};

/// What `collection_usage` had at the time, and the units that search did not read.
#[derive(FromQueryResult)]
pub(super) struct PastScope {
    pub(super) documents: i64,
    pub(super) words: i64,
    pub(super) dead_units: Vec<i64>,
}

/// Counts the targets that were live at a time. Everything else is dead: what is not kept, and what was published later.
pub(super) async fn read(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collections: Vec<Uuid>,
    time: DateTime<Utc>,
) -> Result<PastScope> {
    let past = raw_sql!(
        Postgres,
        "with found as materialized (
             select t.units, t.chunk_count, t.words,
                 (t.published_at <= {time} and (t.live or t.superseded_at > {time})) is true as visible
             from target t where t.workspace_id = {workspace} and t.collection_id = any({collections}::uuid[]))
         select coalesce(sum(chunk_count) filter (where visible), 0)::bigint as documents,
             coalesce(sum(words) filter (where visible), 0)::bigint as words,
             array(
                 select unnest(units) from found where not visible
                 union all
                 select unnest(units) from posting_tombstone
                 where workspace_id = {workspace} and collection_id = any({collections}::uuid[])) as dead_units
         from found"
    );
    sql::first(conn, past).await?.ok_or_else(|| Error::RecordNotFound("the statistics".to_owned()))
}
