//! The fence of a claim: it refuses writes of a holder whose claim or earlier writes PostgreSQL has lost.
//!
//! PostgreSQL loses the commits that it confirmed last when it fails with `synchronous_commit = off`, or when an asynchronous replica
//! takes its place. A holder that went on from such a commit would complete its job without it. So each write of a holder raises the
//! number in the job's row, and the holder remembers the highest number that was confirmed: a row with a lower one has lost a write. A loss
//! is always of the last commits, so the number of a write proves all before it. A claim that was lost and made anew has another
//! random number.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use sea_orm::{ColIdx, QueryResult, TryGetError, TryGetable};

/// The lowest bits of a fence, which count writes; the others identify the claim. The two statements that claim a job shift by this number.
const WRITE_BITS: u32 = 20;

/// The number of a claim and of its last confirmed write. Copies share it.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<AtomicI64>);

impl Fence {
    /// Records that the write with this number is committed.
    pub fn confirm(&self, write: i64) {
        self.0.fetch_max(write, Ordering::AcqRel);
    }

    /// The numbers that the row may have: that of the last confirmed write, up to the last one of the claim. A higher one than the
    /// confirmed one is that of a write whose commit was not confirmed.
    pub(in crate::store) fn range(&self) -> (i64, i64) {
        let confirmed = self.0.load(Ordering::Acquire);
        (confirmed, confirmed | ((1 << WRITE_BITS) - 1))
    }
}

impl TryGetable for Fence {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        i64::try_get_by(row, index).map(|fence| Self(Arc::new(AtomicI64::new(fence))))
    }
}

#[cfg(all(test, feature = "testing"))]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use std::time::Duration;

    use crate::{
        id::{JobId, WorkspaceId},
        store::{
            self, Conn as _, Db, TransactionTrait,
            job::{self, Claim},
        },
        testing::TestDeployment,
    };

    const LEASE: Duration = Duration::from_secs(60);

    async fn claim(db: &Db, id: JobId) -> Claim {
        job::claim(db, id, "worker", LEASE).await.unwrap().unwrap()
    }

    async fn insert(db: &Db) -> JobId {
        let id = JobId::new();
        let sql = format!(
            "insert into job (id, workspace_id, kind, version, lane, payload) values ('{id}', '{}', 'x', 1, 'model', '{{}}')",
            WorkspaceId::SYSTEM
        );
        db.execute_unprepared(&sql).await.unwrap();
        id
    }

    /// A write that is committed and confirmed. `false`: the fence has refused it.
    async fn write(db: &Db, claim: &Claim) -> bool {
        let tx = db.begin().await.unwrap();
        let written = job::assert_lease(&tx, claim).await.unwrap();
        tx.commit().await.unwrap();
        written.inspect(|number| claim.fence.confirm(*number)).is_some()
    }

    #[tokio::test]
    async fn job_cannot_be_completed_after_a_confirmed_write_was_lost() {
        let deployment = TestDeployment::new().await;
        let db = store::connect(&deployment.config(&[]).database).await.unwrap();
        let claim = claim(&db, insert(&db).await).await;
        assert!(write(&db, &claim).await);
        assert!(write(&db, &claim).await);
        // As the row was before the second write.
        db.execute_unprepared("update job set fence = fence - 1").await.unwrap();
        assert!(!write(&db, &claim).await, "a further write");
        assert!(!job::complete(&db, &claim).await.unwrap());
        assert!(!job::snooze(&db, &claim, LEASE, "busy").await.unwrap());
        db.execute_unprepared("update job set fence = fence + 1").await.unwrap();
        assert!(job::complete(&db, &claim).await.unwrap(), "nothing is lost");
        db.close().await.unwrap();
        deployment.close().await;
    }

    #[tokio::test]
    async fn write_whose_commit_was_not_confirmed_does_not_stop_its_holder() {
        let deployment = TestDeployment::new().await;
        let db = store::connect(&deployment.config(&[]).database).await.unwrap();
        let claim = claim(&db, insert(&db).await).await;
        let tx = db.begin().await.unwrap();
        assert!(job::assert_lease(&tx, &claim).await.unwrap().is_some());
        tx.commit().await.unwrap();
        assert!(write(&db, &claim).await);
        assert!(job::complete(&db, &claim).await.unwrap());
        db.close().await.unwrap();
        deployment.close().await;
    }

    #[tokio::test]
    async fn holder_of_a_lost_claim_writes_nothing_after_the_next_claim_with_the_same_epoch() {
        let deployment = TestDeployment::new().await;
        let db = store::connect(&deployment.config(&[]).database).await.unwrap();
        let id = insert(&db).await;
        let lost = claim(&db, id).await;
        // As the row was before the claim.
        let unclaimed = "update job set state = 'waiting', epoch = 0, attempts = 0, fence = 0, heartbeat_at = null";
        db.execute_unprepared(unclaimed).await.unwrap();
        let next = claim(&db, id).await;
        assert_eq!(lost.epoch, next.epoch);
        assert!(!write(&db, &lost).await);
        assert!(!job::complete(&db, &lost).await.unwrap());
        assert!(job::complete(&db, &next).await.unwrap());
        db.close().await.unwrap();
        deployment.close().await;
    }
}
