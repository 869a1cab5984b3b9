//! Jobs: who may be given to the workers, who holds what, and what became of it.
//!
//! A job is `waiting` (for its time or its workspace's turn), `queued` (with JetStream) or `running`
//! (held by a worker). Each claim raises its epoch; whatever a holder writes is fenced by the epoch
//! it claimed, so a holder that was presumed dead cannot write after its successor began.

use std::time::Duration;

use sea_orm::FromQueryResult;
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Conn, Result, Tx, sql};
use crate::{
    domain::job::Lane,
    id::{JobId, WorkspaceId},
};

/// A job to be.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `job`")]
pub struct NewJob {
    pub workspace_id: WorkspaceId,
    pub kind: &'static str,
    pub version: i32,
    pub lane: Lane,
    pub payload: Json,
    pub traceparent: Option<String>,
}

/// Adds a job; the relays hear of it when the transaction commits.
pub async fn insert(tx: &Tx, job: NewJob) -> Result<JobId> {
    let id = JobId::new();
    sql::execute(
        tx,
        "insert into job (id, workspace_id, kind, version, lane, payload, traceparent) values ($1, $2, $3, $4, $5, $6, $7)",
        [
            id.into(),
            job.workspace_id.into(),
            job.kind.into(),
            job.version.into(),
            job.lane.name().into(),
            job.payload.into(),
            job.traceparent.into(),
        ],
    )
    .await?;
    Ok(id)
}

/// A job about to be handed to JetStream.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `job`")]
pub struct Due {
    pub id: JobId,
    pub workspace_id: WorkspaceId,
    pub lane: Lane,
    pub epoch: i32,
    pub traceparent: Option<String>,
}

/// Locks up to `limit` jobs whose time and turn have come.
///
/// Round-robin: every workspace's first due job comes before any workspace's second. At most
/// `per_workspace` jobs of a workspace and lane are in flight; the rest wait where `why` sees them.
/// The walk is from tenant to tenant along the index, so its cost grows with the number of
/// tenants that have work, not with the length of a backlog.
pub async fn lock_due(tx: &Tx, limit: i64, per_workspace: i64) -> Result<Vec<Due>> {
    sql::all(
        tx,
        "with recursive tenant as (
             (select workspace_id, lane from job where state = 'waiting' order by workspace_id, lane limit 1)
             union all
             select next.workspace_id, next.lane from tenant cross join lateral (
                 select workspace_id, lane from job
                 where state = 'waiting' and (workspace_id, lane) > (tenant.workspace_id, tenant.lane)
                 order by workspace_id, lane limit 1) next
         ), turn as (
             select due.id, due.run_at, due.place
             from tenant
             cross join lateral (
                 select count(*) as jobs from job
                 where job.workspace_id = tenant.workspace_id and job.lane = tenant.lane and state <> 'waiting') flight
             cross join lateral (
                 select id, run_at, row_number() over (order by run_at, id) as place from (
                     select id, run_at from job
                     where job.workspace_id = tenant.workspace_id and job.lane = tenant.lane
                       and state = 'waiting' and run_at <= now()
                     order by run_at, id
                     limit greatest($2 - flight.jobs, 0)) first) due
             order by due.place, due.run_at
             limit $1
         )
         select id, workspace_id, lane, epoch, traceparent
         from job where id in (select id from turn) and state = 'waiting'
         for update skip locked",
        [limit.into(), per_workspace.into()],
    )
    .await
}

/// Records that JetStream has taken these jobs, and where.
pub async fn mark_queued(tx: &Tx, taken: &[(JobId, u64)]) -> Result<()> {
    let ids: Vec<Uuid> = taken.iter().map(|(id, _)| id.0).collect();
    let seqs: Vec<i64> = taken.iter().map(|(_, seq)| i64::try_from(*seq).unwrap_or(i64::MAX)).collect();
    sql::execute(
        tx,
        "update job set state = 'queued', queued_at = now(), stream_seq = taken.seq
         from unnest($1::uuid[], $2::bigint[]) taken (id, seq) where job.id = taken.id",
        [ids.into(), seqs.into()],
    )
    .await?;
    Ok(())
}

/// A job that is now ours until we complete it, give it back, or fall silent for longer than the lease.
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
    /// This one included.
    pub attempts: i32,
    /// Seconds from when the job was due to this claim.
    pub waited: f64,
}

/// Takes a job that is due, or one whose holder has been silent for longer than `lease`.
/// `None`: it is finished, waiting for another time, or alive in other hands.
///
/// A waiting job counts, too: JetStream may deliver it before the relay that handed it over has committed. Its row is
/// locked then, and this statement waits for that commit; were `waiting` left out, it would see the old state and not wait.
pub async fn claim(conn: &impl Conn, id: JobId, holder: &str, lease: Duration) -> Result<Option<Claim>> {
    sql::first(
        conn,
        "update job set state = 'running', epoch = epoch + 1, attempts = attempts + 1, holder = $2, heartbeat_at = now()
         where id = $1 and (state = 'queued'
             or (state = 'waiting' and run_at <= now())
             or (state = 'running' and heartbeat_at < now() - make_interval(secs => $3)))
         returning id, workspace_id, kind, version, lane, payload, epoch, attempts,
             extract(epoch from now() - run_at)::float8 as waited",
        [id.into(), holder.into(), lease.as_secs_f64().into()],
    )
    .await
}

/// Keeps claims alive; returns those (by job and epoch) that still hold.
pub async fn heartbeat(conn: &impl Conn, claims: &[(JobId, i32)]) -> Result<Vec<(JobId, i32)>> {
    #[derive(FromQueryResult)]
    struct Held {
        id: JobId,
        epoch: i32,
    }
    let ids: Vec<Uuid> = claims.iter().map(|(id, _)| id.0).collect();
    let epochs: Vec<i32> = claims.iter().map(|(_, epoch)| *epoch).collect();
    let held: Vec<Held> = sql::all(
        conn,
        "update job set heartbeat_at = now()
         from unnest($1::uuid[], $2::integer[]) mine (id, epoch)
         where job.id = mine.id and job.epoch = mine.epoch and job.state = 'running'
         returning job.id, job.epoch",
        [ids.into(), epochs.into()],
    )
    .await?;
    Ok(held.into_iter().map(|held| (held.id, held.epoch)).collect())
}

/// Locks the job for the rest of the transaction if the claim still holds. Every transaction in
/// which a handler writes begins with this.
pub async fn hold(tx: &Tx, claim: &Claim) -> Result<bool> {
    let rows = sql::execute(
        tx,
        "select 1 from job where id = $1 and epoch = $2 and state = 'running' for update",
        [claim.id.into(), claim.epoch.into()],
    )
    .await?;
    Ok(rows == 1)
}

/// Ends a job that is done. Returns whether it was still ours.
pub async fn complete(conn: &impl Conn, claim: &Claim) -> Result<bool> {
    let rows = sql::execute(
        conn,
        "delete from job where id = $1 and epoch = $2 and state = 'running'",
        [claim.id.into(), claim.epoch.into()],
    )
    .await?;
    Ok(rows == 1)
}

/// Puts a job back to wait for `delay`. `free` gives back the attempt: the job was not at fault.
pub async fn postpone(conn: &impl Conn, claim: &Claim, delay: Duration, error: &str, free: bool) -> Result<bool> {
    let rows = sql::execute(
        conn,
        "update job set state = 'waiting', run_at = now() + make_interval(secs => $3), last_error = $4,
             attempts = attempts - $5, holder = null, heartbeat_at = null, stream_seq = null
         where id = $1 and epoch = $2 and state = 'running'",
        [claim.id.into(), claim.epoch.into(), delay.as_secs_f64().into(), error.into(), i32::from(free).into()],
    )
    .await?;
    Ok(rows == 1)
}

/// Moves a job among the dead, with the reason. Returns whether it was still ours.
pub async fn bury(tx: &Tx, claim: &Claim, reason: &str, error: &str) -> Result<bool> {
    let rows = sql::execute(
        tx,
        "with dead as (delete from job where id = $1 and epoch = $2 and state = 'running' returning *)
         insert into dead_job (id, workspace_id, kind, version, lane, payload, attempts, reason, error, created_at)
         select id, workspace_id, kind, version, lane, payload, attempts, $3, $4, created_at from dead",
        [claim.id.into(), claim.epoch.into(), reason.into(), error.into()],
    )
    .await?;
    Ok(rows == 1)
}

/// Jobs of holders that have been silent for longer than `lease` wait again; the attempt stays spent.
pub async fn release_silent(conn: &impl Conn, lease: Duration) -> Result<u64> {
    sql::execute(
        conn,
        "update job set state = 'waiting', run_at = now(), holder = null, heartbeat_at = null, stream_seq = null,
             last_error = 'the worker that held this job fell silent'
         where state = 'running' and heartbeat_at < now() - make_interval(secs => $1)",
        [lease.as_secs_f64().into()],
    )
    .await
}

/// A job that JetStream has had for a while.
#[derive(Clone, Copy, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `job`")]
pub struct Queued {
    pub id: JobId,
    pub stream_seq: i64,
}

/// Up to `limit` jobs handed to JetStream more than `age` ago, oldest first.
pub async fn queued_longer_than(conn: &impl Conn, age: Duration, limit: i64) -> Result<Vec<Queued>> {
    sql::all(
        conn,
        "select id, stream_seq from job
         where state = 'queued' and queued_at < now() - make_interval(secs => $1)
         order by queued_at limit $2",
        [age.as_secs_f64().into(), limit.into()],
    )
    .await
}

/// Jobs that JetStream has forgotten wait again, unless somebody claimed them meanwhile. The epoch rises, so that the
/// next message is not taken for the lost one repeated.
pub async fn release_forgotten(conn: &impl Conn, forgotten: &[Queued]) -> Result<u64> {
    let ids: Vec<Uuid> = forgotten.iter().map(|job| job.id.0).collect();
    let seqs: Vec<i64> = forgotten.iter().map(|job| job.stream_seq).collect();
    sql::execute(
        conn,
        "update job set state = 'waiting', stream_seq = null, epoch = epoch + 1
         from unnest($1::uuid[], $2::bigint[]) gone (id, seq)
         where job.id = gone.id and job.stream_seq = gone.seq and job.state = 'queued'",
        [ids.into(), seqs.into()],
    )
    .await
}

/// How much there is of each state in each lane, and how long the oldest due job has waited.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "said above")]
pub struct Backlog {
    pub lane: Lane,
    pub waiting: i64,
    pub queued: i64,
    pub running: i64,
    pub oldest_seconds: f64,
}

/// The backlog, lane by lane; lanes without jobs are left out.
pub async fn backlog(conn: &impl Conn) -> Result<Vec<Backlog>> {
    sql::all(
        conn,
        "select lane,
             count(*) filter (where state = 'waiting') as waiting,
             count(*) filter (where state = 'queued') as queued,
             count(*) filter (where state = 'running') as running,
             coalesce(extract(epoch from now() - min(run_at) filter (where state <> 'running' and run_at <= now())), 0)::float8
                 as oldest_seconds
         from job group by lane",
        [],
    )
    .await
}
