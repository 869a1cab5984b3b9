//! One database per test, cloned from a template that is migrated once per server.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::id;

/// The advisory lock of the template, because tests of several processes start at the same time.
const TEMPLATE_LOCK: i64 = 0x6e76_6973_7900_0004;

/// A migrated, empty database.
pub struct TestDatabase {
    server: DatabaseConnection,
    name: String,
    url: String,
}

impl TestDatabase {
    /// Clones the template; the first test on a server creates it.
    pub(super) async fn create(server_url: &str) -> Self {
        let server = nvisy_migration::connect(server_url).await.expect("PostgreSQL for tests");
        let template = format!("nvisy_{}", nvisy_migration::fingerprint());
        run(&server, &format!("select pg_advisory_lock({TEMPLATE_LOCK})")).await;
        let known = Statement::from_string(
            DbBackend::Postgres,
            format!("select from pg_database where datname = '{template}'"),
        );
        if server.query_one_raw(known).await.expect("the list of databases").is_none() {
            let raw = format!("{template}_new");
            run(&server, &format!("drop database if exists {raw}")).await;
            run(&server, &format!("create database {raw}")).await;
            nvisy_migration::apply(&sibling(server_url, &raw)).await.expect("migrations apply");
            // Renamed when complete, so that an incomplete template is never cloned.
            run(&server, &format!("alter database {raw} rename to {template}")).await;
        }
        let name = format!("test_{}", id::new().simple());
        run(&server, &format!("create database {name} template {template}")).await;
        run(&server, &format!("select pg_advisory_unlock({TEMPLATE_LOCK})")).await;
        Self { url: sibling(server_url, &name), server, name }
    }

    /// A database without tables.
    pub(super) async fn create_empty(server_url: &str) -> Self {
        let server = nvisy_migration::connect(server_url).await.expect("PostgreSQL for tests");
        let name = format!("test_{}", id::new().simple());
        run(&server, &format!("create database {name} template template0")).await;
        Self { url: sibling(server_url, &name), server, name }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Drops the database.
    pub(super) async fn close(self) {
        let left = self.jobs().await;
        run(&self.server, &format!("drop database {} with (force)", self.name)).await;
        assert!(left.is_empty(), "the test left jobs behind: {left}");
    }

    /// The jobs that are left, if the table exists.
    async fn jobs(&self) -> String {
        let db = nvisy_migration::connect(&self.url).await.expect("the test's database");
        let exists =
            Statement::from_string(DbBackend::Postgres, "select to_regclass('job') is not null as exists".to_owned());
        let exists = db.query_one_raw(exists).await.expect("a result").expect("one row");
        if !exists.try_get::<bool>("", "exists").expect("a boolean") {
            return String::new();
        }
        let left = Statement::from_string(
            DbBackend::Postgres,
            "select coalesce(string_agg(kind || ' ' || state || ' ' || coalesce(last_error, ''), '; '), '') as jobs from job",
        );
        let row = db.query_one_raw(left).await.expect("the job table").expect("one row");
        let left: String = row.try_get("", "jobs").expect("a text");
        db.close().await.expect("the connection closes");
        left
    }
}

async fn run(db: &DatabaseConnection, sql: &str) {
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn sibling(server_url: &str, name: &str) -> String {
    let mut url = url::Url::parse(server_url).expect("a database URL");
    url.set_path(name);
    url.into()
}
