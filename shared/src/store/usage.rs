//! The usage and the quota of workspaces.
//!
//! Triggers update the counters in the transaction of each change, and the counters' row stays locked until it commits. A
//! transaction that adds something therefore reads the usage afterwards and rolls back if it exceeds the quota: no two
//! transactions can both use up the rest of a quota, and a deletion frees its part at once.

use chrono::NaiveDate;
use sea_orm::{FromQueryResult, raw_sql};

use super::{Conn, Result, sql};
use crate::{
    domain::quota::{Amounts, Resource},
    id::WorkspaceId,
};

/// The usage and the limits of a workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The current usage.
    pub used: Amounts,
    /// Tokens of all chunks.
    pub tokens: i64,
    /// The lower one of the workspace's own limit and the operator's quota, which defaults to the deployment's setting.
    pub limits: Amounts,
}

#[derive(FromQueryResult)]
struct Row {
    files: i64,
    bytes: i64,
    chunks: i64,
    tokens: i64,
    runs: i64,
    collections: i64,
    limit_files: i64,
    limit_bytes: i64,
    limit_chunks: i64,
    limit_runs: i64,
    limit_collections: i64,
}

/// The usage of a workspace, including changes of the current transaction. `defaults` are the deployment's settings.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, defaults: Amounts) -> Result<Option<Usage>> {
    let usage = raw_sql!(
        Postgres,
        "select u.files, u.bytes, u.chunks, u.tokens, u.runs, u.collections,
             least(w.limit_files, coalesce(q.files, {defaults.files})) as limit_files,
             least(w.limit_bytes, coalesce(q.bytes, {defaults.bytes})) as limit_bytes,
             least(w.limit_chunks, coalesce(q.chunks, {defaults.chunks})) as limit_chunks,
             least(w.limit_runs, coalesce(q.runs, {defaults.runs})) as limit_runs,
             least(w.limit_collections, coalesce(q.collections, {defaults.collections})) as limit_collections
         from workspace w
         join workspace_usage u on u.workspace_id = w.id
         left join workspace_quota q on q.workspace_id = w.id
         where w.id = {workspace}"
    );
    let row: Option<Row> = sql::first(conn, usage).await?;
    Ok(row.map(|row| Usage {
        used: Amounts {
            files: row.files,
            bytes: row.bytes,
            chunks: row.chunks,
            runs: row.runs,
            collections: row.collections,
        },
        tokens: row.tokens,
        limits: Amounts {
            files: row.limit_files,
            bytes: row.limit_bytes,
            chunks: row.limit_chunks,
            runs: row.limit_runs,
            collections: row.limit_collections,
        },
    }))
}

/// Counts the usage from the tables: slow, to verify the counters.
pub async fn recount(conn: &impl Conn, workspace: WorkspaceId) -> Result<Option<(Amounts, i64)>> {
    let recount = raw_sql!(
        Postgres,
        "select (select count(*) from file where workspace_id = {workspace}),
             (select coalesce(sum(bytes), 0)::bigint from file_version where workspace_id = {workspace}),
             (select count(*) from chunk where workspace_id = {workspace}),
             (select count(*) from run where workspace_id = {workspace} and finished_at is null),
             (select count(*) from collection where workspace_id = {workspace} and deleted_at is null),
             (select coalesce(sum(tokens), 0)::bigint from chunk where workspace_id = {workspace})"
    );
    let row = sql::first_value(conn, recount).await?;
    Ok(row.map(|(files, bytes, chunks, runs, collections, tokens)| {
        (Amounts { files, bytes, chunks, runs, collections }, tokens)
    }))
}

/// Sets the operator's quota of a workspace; `None` for a resource: the deployment's setting. `false`: there is no such
/// workspace.
pub async fn set_quota(
    conn: &impl Conn,
    workspace: WorkspaceId,
    quota: impl Fn(Resource) -> Option<i64>,
) -> Result<bool> {
    let [files, bytes, chunks, runs, collections] = Resource::ALL.map(quota);
    let set = raw_sql!(
        Postgres,
        "insert into workspace_quota (workspace_id, files, bytes, chunks, runs, collections)
         select id, {files}, {bytes}, {chunks}, {runs}, {collections} from workspace where id = {workspace}
         on conflict (workspace_id) do update set files = excluded.files, bytes = excluded.bytes,
             chunks = excluded.chunks, runs = excluded.runs, collections = excluded.collections, updated_at = now()"
    );
    Ok(sql::execute(conn, set).await? == 1)
}

/// Adds to the number of searches by workspace and day; ignores deleted workspaces.
pub async fn add_searches(conn: &impl Conn, searches: &[(WorkspaceId, NaiveDate, i64)]) -> Result<()> {
    let workspaces: Vec<WorkspaceId> = searches.iter().map(|(workspace, ..)| *workspace).collect();
    let days: Vec<NaiveDate> = searches.iter().map(|(_, day, _)| *day).collect();
    let counts: Vec<i64> = searches.iter().map(|(.., count)| *count).collect();
    let added = raw_sql!(
        Postgres,
        "insert into search_count (workspace_id, day, searches)
         select workspace_id, day, n
         from unnest({workspaces}::uuid[], {days}::date[], {counts}::bigint[]) added (workspace_id, day, n)
         where exists (select from workspace where id = workspace_id)
         order by workspace_id, day
         on conflict (workspace_id, day) do update set searches = search_count.searches + excluded.searches"
    );
    sql::execute(conn, added).await?;
    Ok(())
}

/// The number of searches of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `search_count`")]
pub struct DailySearches {
    pub day: NaiveDate,
    pub searches: i64,
}

/// The number of searches for each day since `since` that has any, oldest first.
pub async fn daily_searches(conn: &impl Conn, workspace: WorkspaceId, since: NaiveDate) -> Result<Vec<DailySearches>> {
    let counts = raw_sql!(
        Postgres,
        "select day, searches from search_count where workspace_id = {workspace} and day >= {since} order by day"
    );
    sql::all(conn, counts).await
}
