//! A table of another system: a database of its own, so that its statistics count what a sync reads.

use std::time::{Duration, Instant};

use nvisy_shared::id;
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _,
    postgres::{PgConnectOptions, PgConnection},
};
use url::Url;

use crate::support::wait_until;

/// Rows of a page of the source, and of the bare read.
pub const PAGE_ROWS: i64 = 500;

/// The table `readings` with the key `id`, from 1 on.
pub struct OutsideTable {
    server: PgConnection,
    database: PgConnection,
    url: Url,
    rows: i64,
}

impl OutsideTable {
    /// On the server of the benchmark.
    pub async fn create(rows: i64) -> Self {
        let mut url: Url = std::env::var("NVISY_TEST_DATABASE_URL").expect("a server").parse().unwrap();
        let mut server = connect(&url).await;
        let name = format!("outside_{}", id::new().simple());
        server.execute(AssertSqlSafe(format!("create database {name} template template0"))).await.unwrap();
        url.set_path(&name);
        let database = connect(&url).await;
        let mut table = Self { server, database, url, rows };
        table.sql("create table readings (id bigint primary key, place text not null, note text not null)").await;
        table
            .sql(&format!(
                "insert into readings select n, 'Harbour ' || n % 100, 'The gauge stood at ' || n || ' cm.'
                 from generate_series(1, {rows}) n"
            ))
            .await;
        // The first read would do it otherwise.
        table.sql("vacuum analyze readings").await;
        table
    }

    pub async fn sql(&mut self, sql: &str) {
        self.database.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    /// The settings of a connection.
    pub fn settings(&self) -> Value {
        let database = self.url.path().trim_start_matches('/');
        json!({ "host": self.url.host_str(), "port": self.url.port(), "database": database, "tls": "off" })
    }

    /// The credentials of a connection.
    pub fn credentials(&self) -> Value {
        json!({ "user": self.url.username(), "password": self.url.password().unwrap_or_default() })
    }

    /// The settings of a source.
    pub fn stream() -> Value {
        json!({ "table": "readings", "key": "id" })
    }

    /// How long a client alone takes that reads all rows page by page in the order of the key.
    pub async fn time_bare_read(&self) -> Duration {
        let mut client = connect(&self.url).await;
        let began = Instant::now();
        let (mut read, mut after) = (0, 0_i64);
        loop {
            let page =
                sqlx::query("select id, row_to_json(t)::text from readings t where id > $1 order by id limit $2");
            let page = page.bind(after).bind(PAGE_ROWS).fetch_all(&mut client).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.get(0);
            read += page.len();
        }
        let took = began.elapsed();
        assert_eq!(i64::try_from(read).unwrap(), self.rows);
        client.close().await.unwrap();
        took
    }

    /// The number of rows that clients have read by the key until now. Each connection reports its own when it ends.
    pub async fn rows_read(&mut self) -> i64 {
        let database = &mut self.database;
        wait_until("no other client is connected", async || {
            let others = "select count(*) from pg_stat_activity
                where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()";
            let others: i64 = sqlx::query(others).fetch_one(&mut *database).await.unwrap().get(0);
            (others == 0).then_some(())
        })
        .await;
        let read = "select coalesce(idx_tup_fetch, 0) from pg_stat_user_tables where relname = 'readings'";
        sqlx::query(read).fetch_one(&mut *database).await.unwrap().get(0)
    }

    /// Removes the database.
    pub async fn remove(mut self) {
        self.database.close().await.unwrap();
        let name = self.url.path().trim_start_matches('/');
        self.server.execute(AssertSqlSafe(format!("drop database {name} with (force)"))).await.unwrap();
        self.server.close().await.unwrap();
    }
}

async fn connect(url: &Url) -> PgConnection {
    url.as_str().parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
}
