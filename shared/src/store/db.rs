//! The database: a pool of connections that runs single statements without returning their connection each time.
//!
//! The pool of sqlx 0.9 spawns a task for each connection that comes back, and that task makes a round trip to test the
//! connection. Around a short statement this costs more than the statement. So a connection whose statement has ended
//! stays with the [`Db`] for the next one, and returns to the pool when it has been idle, when the pool has none for a
//! transaction, and once a minute for the pool to check its age. A connection whose statement was dropped half-way returns
//! at once: the pool's round trip waits for the rest of its response.

mod read_transaction;

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, ExecResult, QueryResult,
    RuntimeErr, Statement, TransactionTrait, Values,
    prelude::async_trait::async_trait,
    sqlx::{
        self, AssertSqlSafe, Error as Sqlx, Executor, PgPool, Postgres,
        pool::PoolConnection,
        postgres::{PgListener, PgRow},
        query::Query,
    },
};
use sea_query_sqlx::SqlxValues;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

pub(super) use self::read_transaction::ReadTransaction;
use super::{ACQUIRE_TIMEOUT, Error, IDLE_BEFORE_TEST, Result};

/// A connection returns to the pool after so long, which ends those that have reached their maximum lifetime.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// While a caller waits for the pool, another kept connection returns to it after so long.
const RETURN_INTERVAL: Duration = Duration::from_millis(50);

/// The database. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Db {
    pool: DatabaseConnection,
    statements: Arc<Statements>,
}

/// What the statements outside of transactions that write share.
#[derive(Debug)]
struct Statements {
    /// As many as the pool has connections. The longest waiting statement is the next.
    permits: Arc<Semaphore>,
    /// Connections whose statement has ended; the last used one is the next.
    kept: Mutex<Vec<Kept>>,
    /// How many callers wait for a connection of the pool.
    waiting: AtomicUsize,
}

/// A connection outside of the pool, between two statements or during one.
#[derive(Debug)]
struct Kept {
    connection: PoolConnection<Postgres>,
    /// When the connection left the pool.
    acquired: Instant,
    /// When its last statement ended.
    used: Instant,
}

/// A connection during a statement, or a read-only transaction.
#[derive(Debug)]
struct InUse {
    kept: Kept,
    _permit: OwnedSemaphorePermit,
}

/// A caller that waits for a connection of the pool, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::AcqRel);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Statements {
    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Statements {
    /// Closes the connections: there may be no runtime any more on which they could return to the pool.
    fn drop(&mut self) {
        for kept in self.kept().drain(..) {
            drop(kept.connection.detach());
        }
    }
}

impl Db {
    pub(super) fn new(pool: DatabaseConnection) -> Self {
        let connections = pool.get_postgres_connection_pool().options().get_max_connections();
        let permits = Semaphore::new(usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS));
        let statements =
            Statements { permits: Arc::new(permits), kept: Mutex::default(), waiting: AtomicUsize::new(0) };
        Self { pool, statements: Arc::new(statements) }
    }

    fn pool(&self) -> &PgPool {
        self.pool.get_postgres_connection_pool()
    }

    /// Takes a connection from the pool. A kept one returns to the pool if that has no other, and a further one each time that
    /// the caller has waited: others may have taken the first.
    async fn wait_for_pool<T, E>(
        &self,
        take: impl Future<Output = std::result::Result<T, E>>,
    ) -> std::result::Result<T, E> {
        let _waiting = Waiting::new(&self.statements.waiting);
        let pool = self.pool();
        if pool.num_idle() == 0 && pool.size() >= pool.options().get_max_connections() {
            self.return_kept();
        }
        let mut take = pin!(take);
        loop {
            match timeout(RETURN_INTERVAL, &mut take).await {
                Ok(taken) => return taken,
                Err(_) => self.return_kept(),
            }
        }
    }

    fn return_kept(&self) {
        let kept = self.statements.kept().pop();
        drop(kept);
    }

    /// A transaction, as SeaORM begins it: a caller must not be dropped meanwhile.
    pub(super) async fn transaction(&self) -> Result<DatabaseTransaction> {
        self.wait_for_pool(TransactionTrait::begin(&self.pool)).await
    }

    /// A listener, whose connection is its own.
    ///
    /// # Errors
    /// When the pool has no connection in time.
    pub async fn listener(&self) -> std::result::Result<PgListener, Sqlx> {
        self.wait_for_pool(PgListener::connect_with(self.pool())).await
    }

    /// Checks that the database responds.
    ///
    /// # Errors
    /// When it does not respond.
    pub async fn ping(&self) -> Result<()> {
        self.wait_for_pool(self.pool.ping()).await
    }

    /// The numbers of used and idle connections.
    #[must_use]
    pub fn usage(&self) -> (u64, u64) {
        let idle = (self.pool().num_idle() + self.statements.kept().len()) as u64;
        (u64::from(self.pool().size()).saturating_sub(idle), idle)
    }

    /// Closes all connections, those in use after their statement or transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn close(self) -> Result<()> {
        self.statements.permits.close();
        // From now on connections return to the pool, which closes them.
        let closing = self.pool().close();
        self.statements.kept().clear();
        closing.await;
        Ok(())
    }

    async fn acquire(&self) -> Result<InUse> {
        let permits = &self.statements.permits;
        let permit = match Arc::clone(permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => timeout(ACQUIRE_TIMEOUT, Arc::clone(permits).acquire_owned())
                .await
                .map_err(|_| Error::ConnectionAcquire(ConnAcquireErr::Timeout))?
                .map_err(|_| Error::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))?,
        };
        let kept = self.statements.kept().pop();
        // An idle one goes back, since the pool tests idle connections before their next use.
        if let Some(kept) = kept.filter(|kept| kept.used.elapsed() < IDLE_BEFORE_TEST) {
            return Ok(InUse { kept, _permit: permit });
        }
        let connection = self.wait_for_pool(self.pool().acquire()).await.map_err(|error| match error {
            Sqlx::PoolTimedOut => Error::ConnectionAcquire(ConnAcquireErr::Timeout),
            Sqlx::PoolClosed => Error::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
            error => Error::Conn(RuntimeErr::SqlxError(error.into())),
        })?;
        let now = Instant::now();
        Ok(InUse { kept: Kept { connection, acquired: now, used: now }, _permit: permit })
    }

    /// Keeps a connection whose statement has ended, or returns it to the pool.
    fn keep(&self, used: InUse) {
        let InUse { mut kept, .. } = used;
        let mut others = self.statements.kept();
        let is_needed = self.statements.waiting.load(Ordering::Acquire) > 0 || self.pool().is_closed();
        if kept.acquired.elapsed() >= KEPT_FOR || is_needed {
            return;
        }
        kept.used = Instant::now();
        others.push(kept);
        // The least recently used one: after a peak they return one by one.
        if others.first().is_some_and(|first| first.used.elapsed() >= IDLE_BEFORE_TEST) {
            others.remove(0);
        }
    }

    /// Runs a statement to its end, on a connection that is kept if the statement succeeds. All rows are read: the
    /// statement is committed when this returns.
    async fn all(&self, statement: &Statement) -> Result<Vec<PgRow>> {
        let mut used = self.acquire().await?;
        let rows = query(statement).fetch_all(&mut *used.kept.connection).await.map_err(query_error)?;
        self.keep(used);
        Ok(rows)
    }
}

fn query(statement: &Statement) -> Query<'_, Postgres, SqlxValues> {
    let values = statement.values.clone().unwrap_or_else(|| Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values))
}

fn query_error(error: Sqlx) -> Error {
    Error::Query(RuntimeErr::SqlxError(error.into()))
}

fn execution_error(error: Sqlx) -> Error {
    Error::Exec(RuntimeErr::SqlxError(error.into()))
}

#[async_trait]
impl ConnectionTrait for Db {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult> {
        let mut used = self.acquire().await?;
        let done = query(&statement).execute(&mut *used.kept.connection).await.map_err(execution_error)?;
        self.keep(used);
        Ok(done.into())
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult> {
        let mut used = self.acquire().await?;
        let done = used.kept.connection.execute(AssertSqlSafe(sql)).await.map_err(execution_error)?;
        self.keep(used);
        Ok(done.into())
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>> {
        Ok(self.all(&statement).await?.into_iter().next().map(QueryResult::from))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>> {
        Ok(self.all(&statement).await?.into_iter().map(QueryResult::from).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use futures::future::join_all;

    use super::*;
    use crate::{
        store::{self, TransactionTrait},
        testing::TestDeployment,
    };

    async fn connect(deployment: &TestDeployment, connections: u32) -> Db {
        let mut settings = deployment.config(&[]).database;
        settings.connections = connections;
        store::connect(&settings).await.unwrap()
    }

    /// The process of PostgreSQL behind the connection.
    async fn process(conn: &impl ConnectionTrait) -> i32 {
        let row = conn.query_one_raw(store::statement("select pg_backend_pid() as pid")).await.unwrap().unwrap();
        row.try_get("", "pid").unwrap()
    }

    #[tokio::test]
    async fn connection_is_kept_for_the_next_statement_until_the_pool_needs_it() {
        let deployment = TestDeployment::new().await;
        let db = connect(&deployment, 2).await;
        let first = process(&db).await;
        for _ in 0..5 {
            assert_eq!(process(&db).await, first);
            assert_eq!(db.usage(), (0, 1));
        }
        let failed = db.execute_unprepared("select 1 / 0").await;
        assert!(failed.is_err());
        join_all([process(&db), process(&db)]).await;
        // Both connections may be kept now; transactions get them nevertheless.
        let (one, other) = (db.begin().await.unwrap(), db.begin().await.unwrap());
        assert_ne!(process(&one).await, process(&other).await);
        assert_eq!(db.usage(), (2, 0));
        one.commit().await.unwrap();
        process(&db).await;
        other.commit().await.unwrap();
        db.close().await.unwrap();
        deployment.close().await;
    }

    #[tokio::test]
    async fn statement_that_is_dropped_does_not_delay_or_damage_the_next() {
        let deployment = TestDeployment::new().await;
        let db = connect(&deployment, 2).await;
        for millis in 0..8 {
            let slow = db.query_all_raw(store::statement("select pg_sleep(0.2), 7 as pid from generate_series(1, 3)"));
            let dropped = tokio::time::timeout(Duration::from_millis(millis), slow).await;
            assert!(dropped.is_err());
            assert_ne!(process(&db).await, 7);
        }
        db.close().await.unwrap();
        deployment.close().await;
    }

    #[tokio::test]
    async fn statements_and_transactions_share_a_small_pool() {
        let deployment = TestDeployment::new().await;
        let db = connect(&deployment, 3).await;
        let work = |n: usize| {
            let db = db.clone();
            async move {
                for _ in 0..20 {
                    if n.is_multiple_of(2) {
                        process(&db).await;
                    } else {
                        let tx = db.begin().await.unwrap();
                        process(&tx).await;
                        tx.commit().await.unwrap();
                    }
                }
            }
        };
        join_all((0..12).map(|n| tokio::spawn(work(n)))).await.into_iter().for_each(|ended| ended.unwrap());
        assert!(db.usage().0 <= 3);
        db.close().await.unwrap();
        deployment.close().await;
    }

    #[tokio::test]
    async fn transactions_that_begin_together_get_all_kept_connections() {
        let deployment = TestDeployment::new().await;
        let db = connect(&deployment, 4).await;
        for _ in 0..10 {
            // Each of the statements leaves a connection.
            join_all((0..4).map(|_| process(&db))).await;
            let all = join_all((0..4).map(|_| db.begin())).await;
            assert!(all.iter().all(Result::is_ok));
        }
        db.close().await.unwrap();
        deployment.close().await;
    }

    #[test]
    fn database_can_be_dropped_without_a_runtime() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (deployment, db) = runtime.block_on(async {
            let deployment = TestDeployment::new().await;
            let db = connect(&deployment, 2).await;
            process(&db).await;
            (deployment, db)
        });
        drop(db);
        runtime.block_on(deployment.close());
    }
}
