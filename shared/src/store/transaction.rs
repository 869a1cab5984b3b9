//! Beginning and ending a transaction.
//!
//! Each is a task of its own, which goes on when the caller is dropped: a client may disconnect, or a request take too long.

use tracing::Instrument;

use super::{Db, Error, Result, Tx};

/// Begins transactions.
pub trait TransactionTrait {
    /// A new transaction, which ends when it is committed, or is rolled back when it is dropped.
    ///
    /// sqlx 0.9 does not roll back a `begin` that is dropped half-way: the pool would give the connection, inside that
    /// transaction, to the next caller, whose writes nothing would commit (transact-rs/sqlx#4393).
    fn begin(&self) -> impl Future<Output = Result<Tx>> + Send;
}

impl TransactionTrait for Db {
    async fn begin(&self) -> Result<Tx> {
        let db = self.clone();
        complete(async move { db.transaction().await }).await
    }
}

/// Commits. sqlx 0.9 sends `ROLLBACK` after a `COMMIT` that is dropped half-way, and PostgreSQL warns that there is no
/// transaction.
pub(super) async fn commit(tx: Tx) -> Result<()> {
    complete(tx.commit()).await
}

/// Rolls back. sqlx 0.9 sends `ROLLBACK` twice if the first one is dropped half-way, with the same warning.
pub(super) async fn roll_back(tx: Tx) -> Result<()> {
    complete(tx.rollback()).await
}

/// Runs to the end, also when the caller is dropped.
async fn complete<T: Send + 'static>(step: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let task = tokio::spawn(step.in_current_span());
    task.await.unwrap_or_else(|error| Err(Error::Custom(error.to_string())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use std::{
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use futures::poll;
    use tracing::{Event, Level, Subscriber};
    use tracing_subscriber::{
        Layer,
        layer::{Context, SubscriberExt},
    };

    use super::*;
    use crate::{
        id::WorkspaceId,
        store::{self, Conn},
        testing::TestDeployment,
    };

    /// Polls at most so many times, then drops.
    async fn poll_times(future: impl Future, times: usize) {
        let mut future = pin!(future);
        for _ in 0..times {
            if poll!(future.as_mut()).is_ready() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Counts the warnings of PostgreSQL.
    #[derive(Clone, Default)]
    struct WarningCounter(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for WarningCounter {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let metadata = event.metadata();
            if metadata.target() == "sqlx::postgres::notice" && *metadata.level() <= Level::WARN {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A pool of one connection, so that the next caller gets that of the dropped one.
    async fn single_connection(deployment: &TestDeployment) -> Db {
        let mut settings = deployment.config(&[]).database;
        settings.connections = 1;
        store::connect(&settings).await.unwrap()
    }

    async fn insert_workspace(conn: &impl Conn) {
        let insert = format!("insert into workspace (id, name) values ('{}', 'Tides')", WorkspaceId::new());
        conn.execute_unprepared(&insert).await.unwrap();
    }

    async fn count_workspaces(conn: &impl Conn) -> usize {
        conn.query_all_raw(store::statement("select from workspace where name = 'Tides'")).await.unwrap().len()
    }

    #[tokio::test]
    async fn commit_and_rollback_that_are_dropped_are_completed() {
        let warnings = WarningCounter::default();
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(warnings.clone()));
        let deployment = TestDeployment::new().await;
        let (db, observer) = (single_connection(&deployment).await, single_connection(&deployment).await);
        db.execute_unprepared("rollback").await.unwrap();
        assert_eq!(warnings.0.swap(0, Ordering::Relaxed), 1, "the warnings of PostgreSQL are counted");
        for times in 1..20 {
            let tx = db.begin().await.unwrap();
            insert_workspace(&tx).await;
            poll_times(commit(tx), times).await;
            // Waits for the connection.
            db.ping().await.unwrap();
            assert_eq!(count_workspaces(&observer).await, times, "dropped after {times} polls");

            let tx = db.begin().await.unwrap();
            insert_workspace(&tx).await;
            poll_times(roll_back(tx), times).await;
            db.ping().await.unwrap();
            assert_eq!(count_workspaces(&observer).await, times, "dropped after {times} polls");
            assert_eq!(warnings.0.load(Ordering::Relaxed), 0, "dropped after {times} polls");
        }
        db.close().await.unwrap();
        observer.close().await.unwrap();
        deployment.close().await;
    }

    #[tokio::test]
    async fn begin_that_is_dropped_leaves_its_connection_outside_of_a_transaction() {
        let deployment = TestDeployment::new().await;
        let (db, observer) = (single_connection(&deployment).await, single_connection(&deployment).await);
        for times in 1..20 {
            poll_times(db.begin(), times).await;
            insert_workspace(&db).await;
            assert_eq!(count_workspaces(&observer).await, times, "dropped after {times} polls");
        }
        db.close().await.unwrap();
        observer.close().await.unwrap();
        deployment.close().await;
    }
}
