//! Jobs that only workers with some embedding models can do, and the workers that have them.
//!
//! JetStream offers a job to any worker of its lane. One that lacks a model of the job records which: from then on the relays leave
//! the job out, and the workers that serve all its spaces take it from its row. Where all workers have the same models, no job is
//! recorded so, and no worker looks for one.

use std::time::Duration;

use sea_orm::raw_sql;

use super::{Conn, Result, job::Claim, sql};
use crate::{domain::job::Lane, id::SpaceId};

/// Jobs of a tenant that are considered when one is taken: several workers that take at the same time get different ones.
const CANDIDATES: i64 = 8;
/// Jobs that one round lets go to any worker.
const RELEASED_AT_ONCE: i64 = 1_000;

/// Records that a worker is in operation, and the spaces that it serves. Workers that were not seen for a lease are forgotten.
pub async fn register(conn: &impl Conn, holder: &str, spaces: &[SpaceId], lease: Duration) -> Result<()> {
    let (spaces, lease_seconds) = (spaces.to_vec(), lease.as_secs_f64());
    let registered = raw_sql!(
        Postgres,
        "insert into worker (holder, spaces) values ({holder}, {spaces}::uuid[])
         on conflict (holder) do update set spaces = excluded.spaces, seen_at = now()"
    );
    sql::execute(conn, registered).await?;
    let forgotten =
        raw_sql!(Postgres, "delete from worker where seen_at < now() - make_interval(secs => {lease_seconds})");
    sql::execute(conn, forgotten).await?;
    Ok(())
}

/// Records that a worker takes no more jobs.
pub async fn unregister(conn: &impl Conn, holder: &str) -> Result<()> {
    sql::execute(conn, raw_sql!(Postgres, "delete from worker where holder = {holder}")).await?;
    Ok(())
}

/// The spaces of the installation's models that workers in operation serve.
pub async fn served(conn: &impl Conn, lease: Duration) -> Result<Vec<SpaceId>> {
    let lease_seconds = lease.as_secs_f64();
    let served = raw_sql!(
        Postgres,
        "select distinct space from worker cross join unnest(spaces) space
         where seen_at > now() - make_interval(secs => {lease_seconds})"
    );
    sql::all_values(conn, served).await
}

/// Whether a worker is in operation.
pub async fn has_worker(conn: &impl Conn, lease: Duration) -> Result<bool> {
    let lease_seconds = lease.as_secs_f64();
    let found = raw_sql!(
        Postgres,
        "select exists (select from worker where seen_at > now() - make_interval(secs => {lease_seconds}))"
    );
    Ok(sql::first_value(conn, found).await?.unwrap_or(false))
}

/// Whether a worker that serves these spaces has to look for jobs of them: another worker lacks one, or such a job waits.
pub async fn are_taken(conn: &impl Conn, spaces: &[SpaceId], lease: Duration) -> Result<bool> {
    let (spaces, lease_seconds) = (spaces.to_vec(), lease.as_secs_f64());
    let taken = raw_sql!(
        Postgres,
        "select exists (
                 select from worker
                 where seen_at > now() - make_interval(secs => {lease_seconds}) and not spaces @> {spaces}::uuid[])
             or exists (select from job where state = 'waiting' and spaces is not null and spaces <@ {spaces}::uuid[])"
    );
    Ok(sql::first_value(conn, taken).await?.unwrap_or(false))
}

/// Why a job is left to other workers.
#[derive(Clone, Copy, Debug)]
pub struct Missing<'a> {
    /// The space that the worker does not serve.
    pub space: SpaceId,
    /// The error, for operators.
    pub error: &'a str,
    /// Why the job waits, for members, while no worker serves its spaces.
    pub reason: &'a str,
    /// How long it waits then, before any worker tries again: what it needs may have changed.
    pub delay: Duration,
}

/// Leaves a job to workers that serve a space, and all those that it was found to need before; the attempt does not count.
/// `false`: the lease was lost.
pub async fn leave(conn: &impl Conn, claim: &Claim, missing: Missing<'_>, lease: Duration) -> Result<bool> {
    let Missing { space, error, reason, delay } = missing;
    let (lease_seconds, delay_seconds) = (lease.as_secs_f64(), delay.as_secs_f64());
    let (confirmed, last) = claim.fence.range();
    // Without the spaces of before, two workers that each lack what the other has would pass the job on without end.
    let left = raw_sql!(
        Postgres,
        "with needed as (
             select id, array_append(array_remove(coalesce(spaces, '{}'::uuid[]), {space}::uuid), {space}::uuid) as spaces
             from job where id = {claim.id}
         ), found as (
             select needed.id, needed.spaces, exists (
                 select from worker
                 where seen_at > now() - make_interval(secs => {lease_seconds}) and worker.spaces @> needed.spaces) as is_served
             from needed)
         update job set state = 'waiting', spaces = found.spaces, attempts = attempts - 1, last_error = {error}, holder = null,
             heartbeat_at = null, stream_seq = null, wait_reason = case when not found.is_served then {reason}::text end,
             run_at = case when found.is_served then now() else now() + make_interval(secs => {delay_seconds}) end
         from found where job.id = found.id and job.epoch = {claim.epoch} and job.state = 'running'
             and job.fence between {confirmed} and {last}"
    );
    Ok(sql::execute(conn, left).await? == 1)
}

/// Claims a due job of a lane that was left to workers that serve these spaces; `None`: there is none. Tenants take turns as in
/// [`super::job::lock_due`], with at most `per_workspace` jobs of a tenant and lane in flight.
pub async fn take(
    conn: &impl Conn,
    lane: Lane,
    spaces: &[SpaceId],
    holder: &str,
    per_workspace: i64,
) -> Result<Option<Claim>> {
    let spaces = spaces.to_vec();
    let taken = raw_sql!(
        Postgres,
        "with recursive tenant as (
             (select workspace_id from job where state = 'waiting' and spaces is not null and lane = {lane}
              order by workspace_id limit 1)
             union all
             select next.workspace_id from tenant cross join lateral (
                 select workspace_id from job
                 where state = 'waiting' and spaces is not null and lane = {lane} and workspace_id > tenant.workspace_id
                 order by workspace_id limit 1) next
         ), due as (
             select first.id, first.run_at, flight.jobs + first.position as turn
             from tenant
             cross join lateral (
                 select count(*) as jobs from job
                 where job.workspace_id = tenant.workspace_id and job.lane = {lane} and state <> 'waiting') flight
             cross join lateral (
                 select id, run_at, row_number() over (order by level, run_at, id) as position from job
                 where job.workspace_id = tenant.workspace_id and job.lane = {lane} and state = 'waiting' and spaces is not null
                     and spaces <@ {spaces}::uuid[] and run_at <= now()
                 order by level, run_at, id
                 limit least({CANDIDATES}, greatest({per_workspace} - flight.jobs, 0))) first
         ), chosen as (
             select job.id from job join due on due.id = job.id
             where job.state = 'waiting'
             order by due.turn, due.run_at limit 1
             for update of job skip locked
         )
         update job set state = 'running', epoch = epoch + 1, attempts = attempts + 1, holder = {holder}, heartbeat_at = now(),
             fence = random(1, 4398046511103) << 20
         from chosen where job.id = chosen.id
         returning job.id, workspace_id, kind, version, lane, payload, epoch, attempts, fence, traceparent,
             extract(epoch from now() - run_at)::float8 as waited_seconds"
    );
    sql::first(conn, taken).await
}

/// Lets jobs go on that have waited for a worker with these spaces.
pub async fn wake(conn: &impl Conn, spaces: &[SpaceId]) -> Result<u64> {
    let spaces = spaces.to_vec();
    let woken = raw_sql!(
        Postgres,
        "update job set run_at = now(), wait_reason = null where id in (
             select id from job where state = 'waiting' and spaces is not null and wait_reason is not null
                 and spaces <@ {spaces}::uuid[]
             order by id for update skip locked)"
    );
    sql::execute(conn, woken).await
}

/// Lets due jobs go to any worker whose spaces no worker serves together: the workers that did are gone, or what the jobs need has
/// changed.
pub async fn release_unserved(conn: &impl Conn, lease: Duration) -> Result<u64> {
    let lease_seconds = lease.as_secs_f64();
    let released = raw_sql!(
        Postgres,
        "update job set spaces = null where id in (
             select id from job unserved
             where state = 'waiting' and spaces is not null and run_at <= now() and not exists (
                 select from worker
                 where seen_at > now() - make_interval(secs => {lease_seconds}) and worker.spaces @> unserved.spaces)
             order by id limit {RELEASED_AT_ONCE} for update skip locked)"
    );
    sql::execute(conn, released).await
}

/// Whether a worker in operation serves a space.
pub async fn is_served(conn: &impl Conn, space: SpaceId, lease: Duration) -> Result<bool> {
    Ok(served(conn, lease).await?.contains(&space))
}

#[cfg(all(test, feature = "testing"))]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use crate::{
        id::WorkspaceId,
        store::{self, Db},
        testing::TestDeployment,
    };

    const LEASE: Duration = Duration::from_secs(60);

    async fn insert(db: &Db, workspace: WorkspaceId, spaces: &[SpaceId]) {
        let job = crate::id::new();
        let spaces: Vec<String> = spaces.iter().map(|space| format!("'{space}'")).collect();
        db.execute_unprepared(&format!(
            "insert into job (id, workspace_id, kind, version, lane, payload, spaces)
             values ('{job}', '{workspace}', 'x', 1, 'model', '{{}}', array[{}]::uuid[])",
            spaces.join(", ")
        ))
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn tenants_take_turns_at_the_jobs_that_a_worker_takes() {
        let deployment = TestDeployment::new().await;
        let db = store::connect(&deployment.config(&[]).database).await.unwrap();
        let (small, large) = (SpaceId::new(), SpaceId::new());
        let [first, second] = [WorkspaceId::new(), WorkspaceId::new()];
        for workspace in [first, second] {
            let sql = format!("insert into workspace (id, name) values ('{workspace}', 'x')");
            db.execute_unprepared(&sql).await.unwrap();
        }
        for _ in 0..4 {
            insert(&db, first, &[small]).await;
        }
        insert(&db, second, &[small]).await;
        insert(&db, second, &[large]).await;
        insert(&db, second, &[small, large]).await;
        let mut taken = Vec::new();
        while let Some(claim) = take(&db, Lane::Model, &[small], "worker", 3).await.unwrap() {
            assert_eq!((claim.epoch, claim.attempts), (1, 1));
            taken.push(claim.workspace_id);
        }
        assert_eq!(taken, [first, second, first, first], "in turns, and at most three of a tenant are in flight");
        assert!(take(&db, Lane::Extract, &[small, large], "worker", 3).await.unwrap().is_none());
        assert_eq!(take(&db, Lane::Model, &[large], "worker", 3).await.unwrap().unwrap().workspace_id, second);
        let tx = store::TransactionTrait::begin(&db).await.unwrap();
        assert!(store::job::lock_due(&tx, 100, 100, false).await.unwrap().is_empty(), "relays leave such jobs out");
        tx.rollback().await.unwrap();
        db.execute_unprepared("delete from job").await.unwrap();
        db.close().await.unwrap();
        deployment.close().await;
    }

    #[tokio::test]
    async fn jobs_are_released_only_while_no_worker_serves_all_their_spaces() {
        let deployment = TestDeployment::new().await;
        let db = store::connect(&deployment.config(&[]).database).await.unwrap();
        let (small, large) = (SpaceId::new(), SpaceId::new());
        register(&db, "one", &[small], LEASE).await.unwrap();
        assert!(!are_taken(&db, &[small], LEASE).await.unwrap(), "all workers serve the same");
        register(&db, "two", &[large], LEASE).await.unwrap();
        assert!(are_taken(&db, &[small], LEASE).await.unwrap());
        insert(&db, WorkspaceId::SYSTEM, &[small]).await;
        insert(&db, WorkspaceId::SYSTEM, &[small, large]).await;
        assert_eq!(release_unserved(&db, LEASE).await.unwrap(), 1, "no worker serves both");
        assert_eq!(release_unserved(&db, LEASE).await.unwrap(), 0);
        unregister(&db, "one").await.unwrap();
        assert_eq!(served(&db, LEASE).await.unwrap(), [large]);
        assert!(has_worker(&db, LEASE).await.unwrap());
        assert_eq!(release_unserved(&db, LEASE).await.unwrap(), 1);
        db.execute_unprepared("delete from job").await.unwrap();
        db.close().await.unwrap();
        deployment.close().await;
    }
}
