//! How jobs reach JetStream: the relay publishes those that are due, and the reconciler returns those that are lost.

use std::time::Duration;

use sea_orm::{FromQueryResult, raw_sql};

use super::super::{Conn, Result, Tx, sql};
use crate::{
    domain::job::Lane,
    id::{JobId, WorkspaceId},
};

/// Advisory lock of the relay that publishes jobs, with the time of the turn.
const PUBLISHER_LOCK: i32 = 0x6e76_6a62;

/// Takes the turn of publishing jobs, until the transaction ends. `false`: another relay has it, and publishes the jobs that are due.
///
/// A turn begins each quarter of a second: a relay that does not end its transaction, because its machine or its connection to NATS
/// does not respond, holds the lock of a turn that is over.
pub async fn take_turn(tx: &Tx) -> Result<bool> {
    let taken = raw_sql!(
        Postgres,
        "select pg_try_advisory_xact_lock({PUBLISHER_LOCK},
             (floor(extract(epoch from clock_timestamp()) * 4)::bigint % 2147483647)::integer)"
    );
    Ok(sql::first_value(tx, taken).await? == Some(true))
}

/// Jobs of a lane that may be queued however few run: a worker that becomes free finds one without waiting for a relay.
const QUEUED_AT_LEAST: i64 = 2;

/// A job to be published to JetStream.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `job`")]
pub struct DueJob {
    pub id: JobId,
    pub workspace_id: WorkspaceId,
    pub lane: Lane,
    pub epoch: i32,
    pub traceparent: Option<String>,
}

/// Locks up to `limit` due jobs, in the order in which they are to be published.
///
/// - In front of each lane's workers stand few jobs, half as many as run and at least two: a job that becomes due waits for
///   those, and not for the backlog of others.
/// - Tenants take turns: the one with the fewest jobs in flight comes first. At most `per_workspace` jobs of a tenant and lane
///   are in flight.
/// - Within a tenant a lower level comes first, then age; with `oldest_first` age alone decides.
/// - Jobs that only workers with some models can do are left out: [`crate::store::job_space`].
///
/// The statement walks the index from tenant to tenant, so its cost grows with the number of tenants that have jobs, not with
/// the length of a backlog. A relay that has no turn ([`take_turn`]) must not call it: each would publish up to the bound.
pub async fn lock_due(tx: &Tx, limit: i64, per_workspace: i64, oldest_first: bool) -> Result<Vec<DueJob>> {
    let due = raw_sql!(
        Postgres,
        "with recursive tenant as (
             (select workspace_id, lane from job where state = 'waiting' and spaces is null order by workspace_id, lane limit 1)
             union all
             select next.workspace_id, next.lane from tenant cross join lateral (
                 select workspace_id, lane from job
                 where state = 'waiting' and spaces is null and (workspace_id, lane) > (tenant.workspace_id, tenant.lane)
                 order by workspace_id, lane limit 1) next
         ), flight as (
             select workspace_id, lane, count(*) as jobs, count(*) filter (where state = 'queued') as queued
             from job where state <> 'waiting' group by workspace_id, lane
         ), room as (
             select lane, (greatest({QUEUED_AT_LEAST}, sum(jobs - queued) / 2) - sum(queued))::bigint as jobs
             from flight group by lane
         ), turn as (
             select due.id, tenant.lane, row_number() over (
                 partition by tenant.lane order by coalesce(flight.jobs, 0) + due.position, due.run_at) as position
             from tenant
             left join flight on flight.workspace_id = tenant.workspace_id and flight.lane = tenant.lane
             left join room on room.lane = tenant.lane
             cross join lateral (
                 select id, run_at, row_number() over (order by place) as position from (
                     (select id, run_at, row_number() over (order by level, run_at, id) as place from job
                      where not {oldest_first} and job.workspace_id = tenant.workspace_id and job.lane = tenant.lane
                        and state = 'waiting' and spaces is null and run_at <= now()
                      order by level, run_at, id
                      limit greatest(least({per_workspace} - coalesce(flight.jobs, 0), coalesce(room.jobs, {QUEUED_AT_LEAST})), 0))
                     union all
                     (select id, run_at, row_number() over (order by run_at, id) as place from job
                      where {oldest_first} and job.workspace_id = tenant.workspace_id and job.lane = tenant.lane
                        and state = 'waiting' and spaces is null and run_at <= now()
                      order by run_at, id
                      limit greatest(least({per_workspace} - coalesce(flight.jobs, 0), coalesce(room.jobs, {QUEUED_AT_LEAST})), 0))
                 ) first) due
         ), chosen as (
             select turn.id, turn.position from turn left join room on room.lane = turn.lane
             where turn.position <= coalesce(room.jobs, {QUEUED_AT_LEAST})
             order by turn.position
             limit {limit}
         )
         select job.id, workspace_id, lane, epoch, traceparent
         from job join chosen on chosen.id = job.id
         where state = 'waiting' and spaces is null
         order by chosen.position
         for update of job skip locked"
    );
    sql::all(tx, due).await
}

/// Records that JetStream stores these jobs, with their stream sequence numbers.
pub async fn mark_queued(tx: &Tx, published: &[(JobId, u64)]) -> Result<()> {
    let ids: Vec<JobId> = published.iter().map(|(id, _)| *id).collect();
    let seqs: Vec<i64> = published.iter().map(|(_, seq)| i64::try_from(*seq).unwrap_or(i64::MAX)).collect();
    let queued = raw_sql!(
        Postgres,
        "update job set state = 'queued', queued_at = now(), stream_seq = published.seq
         from unnest({ids}::uuid[], {seqs}::bigint[]) published (id, seq) where job.id = published.id"
    );
    sql::execute(tx, queued).await?;
    Ok(())
}

/// Releases jobs whose lease has expired; the attempt counts.
pub async fn release_expired(conn: &impl Conn, lease: Duration) -> Result<u64> {
    let lease_seconds = lease.as_secs_f64();
    // The state is a literal, here and below, so that the planner finds the partial index of jobs in flight.
    let released = raw_sql!(
        Postgres,
        "with expired as (
             select id from job where state = 'running' and heartbeat_at < now() - make_interval(secs => {lease_seconds})
             order by id for update)
         update job set state = 'waiting', run_at = now(), holder = null, heartbeat_at = null, stream_seq = null,
             last_error = 'the lease expired: the worker sent no heartbeat'
         from expired where job.id = expired.id"
    );
    sql::execute(conn, released).await
}

/// A job that JetStream stores.
#[derive(Clone, Copy, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `job`")]
pub struct QueuedJob {
    pub id: JobId,
    pub stream_seq: i64,
}

/// Up to `limit` jobs published to JetStream more than `age` ago, oldest first.
pub async fn queued_longer_than(conn: &impl Conn, age: Duration, limit: i64) -> Result<Vec<QueuedJob>> {
    let age_seconds = age.as_secs_f64();
    let queued = raw_sql!(
        Postgres,
        "select id, stream_seq from job
         where state = 'queued' and queued_at < now() - make_interval(secs => {age_seconds})
         order by queued_at limit {limit}"
    );
    sql::all(conn, queued).await
}

/// Returns jobs that JetStream has lost to `waiting`, unless a worker has claimed them meanwhile. The epoch rises, so that
/// JetStream does not drop the next message as a duplicate of the lost one.
pub async fn requeue_lost(conn: &impl Conn, lost: &[QueuedJob]) -> Result<u64> {
    let (ids, seqs): (Vec<JobId>, Vec<i64>) = lost.iter().map(|job| (job.id, job.stream_seq)).unzip();
    let requeued = raw_sql!(
        Postgres,
        "with requeued as (
             select job.id from job join unnest({ids}::uuid[], {seqs}::bigint[]) lost (id, seq)
                 on job.id = lost.id and job.stream_seq = lost.seq and job.state = 'queued'
             order by job.id for update of job)
         update job set state = 'waiting', stream_seq = null, epoch = epoch + 1
         from requeued where job.id = requeued.id"
    );
    sql::execute(conn, requeued).await
}

/// The number of jobs of a lane by state, and the age of its oldest due job.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "documented on the struct")]
pub struct Backlog {
    pub lane: Lane,
    pub waiting: i64,
    pub queued: i64,
    pub running: i64,
    pub oldest_seconds: f64,
}

/// The backlog of each lane that has jobs.
pub async fn backlog(conn: &impl Conn) -> Result<Vec<Backlog>> {
    let backlog = raw_sql!(
        Postgres,
        "select lane,
             count(*) filter (where state = 'waiting') as waiting,
             count(*) filter (where state = 'queued') as queued,
             count(*) filter (where state = 'running') as running,
             coalesce(extract(epoch from now() - min(run_at) filter (where state <> 'running' and run_at <= now())), 0)::float8
                 as oldest_seconds
         from job group by lane"
    );
    sql::all(conn, backlog).await
}
