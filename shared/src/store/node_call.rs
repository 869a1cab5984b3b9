//! Calls of nodes in progress, where an option limits them.

use sea_orm::raw_sql;

use super::{Result, Tx, job::Claim, sql};
use crate::id::RunId;

/// Begins a call of a node in a run, unless `limit` others are in progress. It ends with its job, or when the job is claimed again.
pub async fn begin(tx: &Tx, run: RunId, node: &str, claim: &Claim, limit: i64) -> Result<bool> {
    let (job, epoch) = (claim.id, claim.epoch);
    let lock = raw_sql!(Postgres, "select pg_advisory_xact_lock(hashtextextended({run}::text || {node}, 0))");
    sql::execute(tx, lock).await?;
    let begun = raw_sql!(
        Postgres,
        "insert into node_call (run_id, node, job_id, epoch)
         select {run}, {node}, {job}, {epoch}
         where (select count(*) from node_call c join job j on j.id = c.job_id and j.epoch = c.epoch and j.state = 'running'
                where c.run_id = {run} and c.node = {node} and c.job_id <> {job}) < {limit}
         on conflict (run_id, node, job_id) do update set epoch = excluded.epoch"
    );
    Ok(sql::execute(tx, begun).await? == 1)
}
