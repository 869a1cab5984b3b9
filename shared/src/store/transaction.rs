//! Beginning a transaction.

use super::{Db, Result, Tx};

/// Begins transactions.
pub trait TransactionTrait {
    /// A new transaction, which ends when it is committed, or is rolled back when it is dropped.
    ///
    /// The connection's part is a task of its own, which goes on when the caller is dropped: a client may disconnect, or a
    /// request take too long. sqlx 0.9 does not roll back a `begin` that is dropped half-way: the pool would give the
    /// connection, inside that transaction, to the next caller, whose writes nothing would commit (transact-rs/sqlx#4393).
    fn begin(&self) -> impl Future<Output = Result<Tx>> + Send;
}

impl TransactionTrait for Db {
    async fn begin(&self) -> Result<Tx> {
        let db = self.clone();
        let task = tokio::spawn(async move { sea_orm::TransactionTrait::begin(&db).await });
        task.await.unwrap_or_else(|error| Err(sea_orm::DbErr::Custom(error.to_string())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use std::pin::pin;

    use futures::poll;

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

    #[tokio::test]
    async fn begin_that_is_dropped_leaves_its_connection_outside_of_a_transaction() {
        let deployment = TestDeployment::new().await;
        let mut settings = deployment.config(&[]).database;
        settings.connections = 1;
        let (db, observer) = (store::connect(&settings).await.unwrap(), store::connect(&settings).await.unwrap());
        for times in 1..20 {
            poll_times(db.begin(), times).await;
            let insert = format!("insert into workspace (id, name) values ('{}', 'Tides')", WorkspaceId::new());
            db.execute_unprepared(&insert).await.unwrap();
            let stored =
                observer.query_all_raw(store::statement("select from workspace where name = 'Tides'")).await.unwrap();
            assert_eq!(stored.len(), times, "dropped after {times} polls");
        }
        db.close().await.unwrap();
        observer.close().await.unwrap();
        deployment.close().await;
    }
}
