//! A read-only transaction on a connection that is kept between statements.
//!
//! It begins with one message, settings included, and ends behind its caller, so that neither the pool nor the end of the
//! transaction costs the caller a round trip.

#[cfg(test)]
use std::sync::atomic::{AtomicUsize, Ordering};

use sea_orm::{
    ConnectionTrait, DbBackend, ExecResult, QueryResult, Statement,
    prelude::async_trait::async_trait,
    sqlx::{AssertSqlSafe, Executor, postgres::PgConnection},
};
use tokio::{
    runtime::Handle,
    sync::{Mutex, MutexGuard},
};

use super::{Db, InUse, Result, execution_error, query, query_error};

/// A read-only transaction. It ends when it is dropped: also when its caller is dropped during a statement.
#[derive(Debug)]
pub(in crate::store) struct ReadTransaction {
    db: Db,
    /// `None` only while it is dropped.
    in_use: Mutex<Option<InUse>>,
    /// The number of statements so far, without those that begin it.
    #[cfg(test)]
    pub(in crate::store) statements: AtomicUsize,
}

impl Db {
    /// Begins a transaction with these statements, of which the first is `begin .. read only`.
    pub(in crate::store) async fn read_transaction(&self, statements: &'static str) -> Result<ReadTransaction> {
        let transaction = ReadTransaction {
            db: self.clone(),
            in_use: Mutex::new(Some(self.acquire().await?)),
            #[cfg(test)]
            statements: AtomicUsize::new(0),
        };
        transaction.execute_unprepared(statements).await?;
        Ok(transaction)
    }

    /// Ends the transaction on a connection, which is kept if that succeeds; the pool tests it otherwise. Waits for the rest of a
    /// statement that was dropped.
    async fn end(self, mut used: InUse) {
        match used.kept.connection.execute("commit").await {
            Ok(_) => self.keep(used),
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "a read-only transaction was lost"),
        }
    }
}

impl Drop for ReadTransaction {
    fn drop(&mut self) {
        let Some(used) = self.in_use.get_mut().take() else { return };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(self.db.clone().end(used))),
            // Closes the connection: there is no runtime on which it could return to the pool.
            Err(_) => drop(used.kept.connection.detach()),
        }
    }
}

impl ReadTransaction {
    /// The connection, for one statement with a plan.
    async fn lock(&self) -> MutexGuard<'_, Option<InUse>> {
        #[cfg(test)]
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.in_use.lock().await
    }
}

fn connection(in_use: &mut Option<InUse>) -> &mut PgConnection {
    &mut in_use.as_mut().expect("only the drop takes the connection").kept.connection
}

#[async_trait]
impl ConnectionTrait for ReadTransaction {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult> {
        let mut in_use = self.lock().await;
        let done = query(&statement).execute(connection(&mut in_use)).await.map_err(execution_error)?;
        Ok(done.into())
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult> {
        let mut in_use = self.in_use.lock().await;
        let done = connection(&mut in_use).execute(AssertSqlSafe(sql)).await.map_err(execution_error)?;
        Ok(done.into())
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>> {
        let mut in_use = self.lock().await;
        let row = query(&statement).fetch_optional(connection(&mut in_use)).await.map_err(query_error)?;
        Ok(row.map(QueryResult::from))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>> {
        let mut in_use = self.lock().await;
        let rows = query(&statement).fetch_all(connection(&mut in_use)).await.map_err(query_error)?;
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use std::{pin::pin, time::Duration};

    use futures::poll;

    use super::*;
    use crate::{
        store::{self, TransactionTrait},
        testing::TestDeployment,
    };

    const BEGIN: &str = "begin isolation level repeatable read, read only; set local enable_seqscan = off";

    /// A pool of one connection, so that the next caller gets that of the transaction.
    async fn single_connection(deployment: &TestDeployment) -> Db {
        let mut settings = deployment.config(&[]).database;
        settings.connections = 1;
        store::connect(&settings).await.unwrap()
    }

    async fn text(conn: &impl ConnectionTrait, sql: &str) -> String {
        let row =
            conn.query_one_raw(store::statement(&format!("select ({sql})::text as text"))).await.unwrap().unwrap();
        row.try_get("", "text").unwrap()
    }

    async fn insert_workspace(db: &Db) {
        let insert = format!("insert into workspace (id, name) values ('{}', 'Tides')", crate::id::WorkspaceId::new());
        db.execute_unprepared(&insert).await.unwrap();
    }

    #[tokio::test]
    async fn statements_of_a_read_transaction_see_one_snapshot_and_leave_their_connection_as_it_was() {
        let deployment = TestDeployment::new().await;
        let (db, writer) = (single_connection(&deployment).await, single_connection(&deployment).await);
        let process = text(&db, "pg_backend_pid()").await;
        let tx = db.read_transaction(BEGIN).await.unwrap();
        assert_eq!(text(&tx, "pg_backend_pid()").await, process, "a kept connection");
        assert_eq!(text(&tx, "current_setting('enable_seqscan')").await, "off");
        assert_eq!(text(&tx, "select count(*) from workspace where name = 'Tides'").await, "0");
        insert_workspace(&writer).await;
        assert_eq!(text(&tx, "select count(*) from workspace where name = 'Tides'").await, "0");
        assert!(tx.execute_unprepared("delete from workspace").await.is_err(), "read only");
        drop(tx);
        assert_eq!(text(&db, "pg_backend_pid()").await, process);
        assert_eq!(text(&db, "current_setting('enable_seqscan')").await, "on");
        assert_eq!(text(&db, "select count(*) from workspace where name = 'Tides'").await, "1");
        // The pool lends it to a transaction that writes.
        let tx = db.begin().await.unwrap();
        assert_eq!(text(&tx, "pg_backend_pid()").await, process);
        tx.commit().await.unwrap();
        db.close().await.unwrap();
        writer.close().await.unwrap();
        deployment.close().await;
    }

    #[tokio::test]
    async fn read_transaction_that_is_dropped_half_way_leaves_no_transaction_on_its_connection() {
        let deployment = TestDeployment::new().await;
        let (db, observer) = (single_connection(&deployment).await, single_connection(&deployment).await);
        for times in 1..20 {
            {
                let mut steps = pin!(async {
                    let tx = db.read_transaction(BEGIN).await.unwrap();
                    text(&tx, "select pg_sleep(0.01)").await
                });
                for _ in 0..times {
                    if poll!(steps.as_mut()).is_ready() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            insert_workspace(&db).await;
            assert_eq!(text(&observer, "select count(*) from workspace where name = 'Tides'").await, times.to_string());
        }
        db.close().await.unwrap();
        observer.close().await.unwrap();
        deployment.close().await;
    }

    #[test]
    fn read_transaction_can_be_dropped_without_a_runtime() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (deployment, tx) = runtime.block_on(async {
            let deployment = TestDeployment::new().await;
            let db = single_connection(&deployment).await;
            let tx = db.read_transaction(BEGIN).await.unwrap();
            (deployment, tx)
        });
        drop(tx);
        runtime.block_on(deployment.close());
    }
}
