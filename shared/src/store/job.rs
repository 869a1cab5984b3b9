//! Jobs: which are due, which worker holds the lease, and how they end.
//!
//! A job is `waiting` (for its time or its workspace's turn), `queued` (published to JetStream) or `running`
//! (leased by a worker). Each claim raises the job's epoch, and every write of a holder is fenced by the epoch
//! it claimed, so a holder whose lease has expired cannot write after the next claim. A [`Fence`] keeps it from writing after
//! PostgreSQL has lost its claim or an earlier write.
//!
//! A statement that changes several jobs locks them by id, so that two of them do not wait for each other in a circle.

mod dispatch;
mod fence;

use std::time::Duration;

use sea_orm::{
    ActiveEnum,
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, raw_sql,
    sea_query::{Expr, ExprTrait},
};
use serde_json::Value as Json;
use uuid::Uuid;

pub use self::{
    dispatch::{
        Backlog, DueJob, QueuedJob, backlog, lock_due, mark_queued, queued_longer_than, release_expired, requeue_lost,
        take_turn,
    },
    fence::Fence,
};
use super::{Conn, Result, Tx, sql};
use crate::{
    domain::job::{JobState, Lane},
    entity::{
        dead_job,
        job::{ActiveModel, Column, Entity},
    },
    id::{JobId, PipelineId, RunId, WorkspaceId},
};

/// A job to be added.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `job`")]
pub struct NewJob {
    pub id: JobId,
    pub workspace_id: WorkspaceId,
    pub kind: &'static str,
    pub version: i32,
    pub lane: Lane,
    pub level: i16,
    pub payload: Json,
    /// The run that the job works for.
    pub run_id: Option<RunId>,
    pub traceparent: Option<String>,
}

/// Adds jobs in one statement; a notification wakes the relays when the transaction commits.
pub async fn insert(tx: &Tx, jobs: Vec<NewJob>) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    let workspaces: Vec<WorkspaceId> = jobs.iter().map(|job| job.workspace_id).collect();
    let kinds: Vec<String> = jobs.iter().map(|job| job.kind.to_owned()).collect();
    let versions: Vec<i32> = jobs.iter().map(|job| job.version).collect();
    let lanes: Vec<String> = jobs.iter().map(|job| job.lane.to_value()).collect();
    let levels: Vec<i32> = jobs.iter().map(|job| job.level.into()).collect();
    let payloads: Vec<String> = jobs.iter().map(|job| job.payload.to_string()).collect();
    // The nil id and the empty text stand for null.
    let runs: Vec<Uuid> = jobs.iter().map(|job| job.run_id.map_or(Uuid::nil(), Uuid::from)).collect();
    let traces: Vec<String> = jobs.into_iter().map(|job| job.traceparent.unwrap_or_default()).collect();
    let added = raw_sql!(
        Postgres,
        "insert into job (id, workspace_id, kind, version, lane, level, payload, run_id, traceparent)
         select new.id, new.workspace_id, new.kind, new.version, new.lane, new.level, new.payload::jsonb,
             nullif(new.run_id, '00000000-0000-0000-0000-000000000000'), nullif(new.traceparent, '')
         from unnest({ids}::uuid[], {workspaces}::uuid[], {kinds}::text[], {versions}::integer[], {lanes}::text[],
                 {levels}::integer[], {payloads}::text[], {runs}::uuid[], {traces}::text[])
             as new (id, workspace_id, kind, version, lane, level, payload, run_id, traceparent)"
    );
    sql::execute(tx, added).await?;
    Ok(())
}

/// A job and the lease on it. The lease ends when the holder completes or releases the job, or when its heartbeat is
/// older than the lease.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `job`")]
pub struct Claim {
    pub id: JobId,
    pub workspace_id: WorkspaceId,
    pub kind: String,
    pub version: i32,
    pub lane: Lane,
    pub payload: Json,
    pub epoch: i32,
    /// Includes the attempt of this claim.
    pub attempts: i32,
    pub fence: Fence,
    /// The trace of the request that enqueued the job.
    pub traceparent: Option<String>,
    /// Seconds between the job's due time and this claim.
    pub waited_seconds: f64,
}

/// Claims a job that is due, or whose lease has expired.
/// `None`: the job is finished, not due yet, or leased by another worker.
///
/// A `waiting` job can be claimed, too: JetStream may deliver it before the relay that published it has committed. The
/// relay holds the row lock then, and this statement waits for the commit; without `waiting` in the condition it would
/// read the old state and skip the job instead of waiting.
pub async fn claim(conn: &impl Conn, id: JobId, holder: &str, lease: Duration) -> Result<Option<Claim>> {
    let lease_seconds = lease.as_secs_f64();
    let claimed = raw_sql!(
        Postgres,
        "update job set state = 'running', epoch = epoch + 1, attempts = attempts + 1, holder = {holder},
             heartbeat_at = now(), fence = random(1, 4398046511103) << 20
         where id = {id} and (state = 'queued'
             or (state = 'waiting' and run_at <= now())
             or (state = 'running' and heartbeat_at < now() - make_interval(secs => {lease_seconds})))
         returning id, workspace_id, kind, version, lane, payload, epoch, attempts, fence, traceparent,
             extract(epoch from now() - run_at)::float8 as waited_seconds"
    );
    sql::first(conn, claimed).await
}

/// Renews leases; returns those (by job and epoch) that are still held.
pub async fn heartbeat(conn: &impl Conn, claims: &[(JobId, i32)]) -> Result<Vec<(JobId, i32)>> {
    let (ids, epochs): (Vec<JobId>, Vec<i32>) = claims.iter().copied().unzip();
    let renewed = raw_sql!(
        Postgres,
        "with held as (
             select job.id from job join unnest({ids}::uuid[], {epochs}::integer[]) claim (id, epoch)
                 on job.id = claim.id and job.epoch = claim.epoch and job.state = 'running'
             order by job.id for update of job)
         update job set heartbeat_at = now() from held where job.id = held.id returning job.id, job.epoch"
    );
    sql::all_values(conn, renewed).await
}

/// The job of this claim, while the claim holds the lease and no write of it is lost.
fn held(claim: &Claim) -> Condition {
    let (confirmed, last) = claim.fence.range();
    Condition::all()
        .add(Column::Id.eq(claim.id))
        .add(Column::Epoch.eq(claim.epoch))
        .add(Column::State.eq(JobState::Running))
        .add(Column::Fence.between(confirmed, last))
}

/// The number of a write, if the claim still holds the lease and no write of it is lost; then the job is locked until the transaction
/// ends. Every transaction in which a handler writes begins with this, or with [`complete`]. Once it is committed, the caller
/// passes the number to [`Fence::confirm`].
pub async fn assert_lease(tx: &Tx, claim: &Claim) -> Result<Option<i64>> {
    let (confirmed, last) = claim.fence.range();
    let numbered = raw_sql!(
        Postgres,
        "update job set fence = fence + 1
         where id = {claim.id} and epoch = {claim.epoch} and state = 'running' and fence between {confirmed} and {last}
         returning fence"
    );
    sql::first_value(tx, numbered).await
}

/// Replaces the payload of a job whose lease is asserted: the next attempt has this one.
pub async fn replace_payload(tx: &Tx, claim: &Claim, payload: Json) -> Result<()> {
    let replaced = ActiveModel { payload: Set(payload), ..Default::default() };
    Entity::update_many().set(replaced).filter(held(claim)).exec(tx).await?;
    Ok(())
}

/// Deletes a finished job, and locks it so until the transaction ends. `false`: the lease was lost.
pub async fn complete(conn: &impl Conn, claim: &Claim) -> Result<bool> {
    Ok(Entity::delete_many().filter(held(claim)).exec(conn).await?.rows_affected == 1)
}

/// Releases a job to be claimed again after `delay`; the attempt counts. `false`: the lease was lost.
pub async fn retry_after(conn: &impl Conn, claim: &Claim, delay: Duration, error: &str) -> Result<bool> {
    release(conn, claim, delay, (error, None), 0).await
}

/// Releases a job to be claimed again after `delay`; the attempt does not count, because the job was not at fault.
/// `false`: the lease was lost.
pub async fn snooze(conn: &impl Conn, claim: &Claim, delay: Duration, error: &str) -> Result<bool> {
    release(conn, claim, delay, (error, None), 1).await
}

/// As [`snooze`], for a reason that members see: an operator or a user can remedy it.
pub async fn snooze_because(conn: &impl Conn, claim: &Claim, delay: Duration, reason: &str) -> Result<bool> {
    release(conn, claim, delay, (reason, Some(reason)), 1).await
}

async fn release(
    conn: &impl Conn,
    claim: &Claim,
    delay: Duration,
    (error, reason): (&str, Option<&str>),
    uncounted_attempts: i32,
) -> Result<bool> {
    let waiting = ActiveModel {
        state: Set(JobState::Waiting),
        last_error: Set(Some(error.to_owned())),
        wait_reason: Set(reason.map(str::to_owned)),
        holder: Set(None),
        heartbeat_at: Set(None),
        stream_seq: Set(None),
        ..Default::default()
    };
    let released = Entity::update_many()
        .set(waiting)
        .col_expr(Column::RunAt, sql::from_now(delay))
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).sub(uncounted_attempts))
        .filter(held(claim))
        .exec(conn)
        .await?;
    Ok(released.rows_affected == 1)
}

/// Deletes all jobs of a workspace.
pub(super) async fn delete_all(tx: &Tx, workspace: WorkspaceId) -> Result<u64> {
    let deleted = raw_sql!(
        Postgres,
        "with obsolete as (select id from job where workspace_id = {workspace} order by id for update)
         delete from job using obsolete where job.id = obsolete.id"
    );
    sql::execute(tx, deleted).await
}

/// Deletes all jobs of a run except one, those in progress too: their holders lose the lease.
pub async fn delete_of_run(tx: &Tx, run: RunId, except: Option<JobId>) -> Result<u64> {
    let deleted = raw_sql!(
        Postgres,
        "with obsolete as (select id from job where run_id = {run} and id is distinct from {except} order by id for update)
         delete from job using obsolete where job.id = obsolete.id"
    );
    sql::execute(tx, deleted).await
}

/// As [`delete_of_run`], of all runs of a pipeline that go on.
pub async fn delete_of_pipeline(tx: &Tx, workspace: WorkspaceId, pipeline: PipelineId) -> Result<u64> {
    let deleted = raw_sql!(
        Postgres,
        "with obsolete as (
             select id from job where run_id in (
                 select id from run
                 where workspace_id = {workspace} and pipeline_id = {pipeline} and finished_at is null)
             order by id for update)
         delete from job using obsolete where job.id = obsolete.id"
    );
    sql::execute(tx, deleted).await
}

/// Moves a job to `dead_job`, with the reason. `false`: the lease was lost.
pub async fn dead_letter(tx: &Tx, claim: &Claim, reason: &str, error: &str) -> Result<bool> {
    let Some(job) = Entity::delete_many().filter(held(claim)).exec_with_returning(tx).await?.pop() else {
        return Ok(false);
    };
    let dead = dead_job::ActiveModel {
        id: Set(job.id),
        workspace_id: Set(job.workspace_id),
        kind: Set(job.kind),
        version: Set(job.version),
        lane: Set(job.lane),
        payload: Set(job.payload),
        run_id: Set(job.run_id),
        attempts: Set(job.attempts),
        reason: Set(reason.to_owned()),
        error: Set(error.to_owned()),
        created_at: Set(job.created_at),
        ..Default::default()
    };
    dead_job::Entity::insert(dead).exec_without_returning(tx).await?;
    Ok(true)
}
