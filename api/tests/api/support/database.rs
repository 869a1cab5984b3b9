//! Rows of the database, read and changed without the API.

use nvisy_shared::store::{self, Conn};

use super::{TestApp, wait_until};

/// A stored chunk.
pub struct Chunk {
    pub text: String,
    pub start: usize,
    pub end: usize,
    pub page: Option<i32>,
    pub heading_path: Vec<String>,
    pub vectors: i64,
}

impl TestApp {
    pub async fn rows(&self, sql: &str) -> Vec<store::Row> {
        self.db.query_all_raw(store::statement(sql)).await.expect("valid SQL")
    }

    pub async fn sql(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.expect("valid SQL");
    }

    /// The number of rows; `table` may carry a condition.
    pub async fn count(&self, table: &str) -> i64 {
        self.rows(&format!("select count(*) as n from {table}")).await[0].try_get("", "n").unwrap()
    }

    /// The chunks of a file, in order.
    pub async fn chunks(&self, file: &str) -> Vec<Chunk> {
        let rows = self
            .rows(&format!(
                "select text, start_byte, end_byte, page, heading_path,
                     (select count(*) from embedding e where e.chunk_id = c.id) as vectors
                 from chunk c where file_id = '{file}' order by ordinal"
            ))
            .await;
        rows.iter()
            .map(|row| Chunk {
                text: row.try_get("", "text").unwrap(),
                start: usize::try_from(row.try_get::<i64>("", "start_byte").unwrap()).unwrap(),
                end: usize::try_from(row.try_get::<i64>("", "end_byte").unwrap()).unwrap(),
                page: row.try_get("", "page").unwrap(),
                heading_path: row.try_get("", "heading_path").unwrap(),
                vectors: row.try_get("", "vectors").unwrap(),
            })
            .collect()
    }

    pub async fn wait_until_no_jobs_are_left(&self) {
        wait_until("no job is left", async || (self.count("job").await == 0).then_some(())).await;
    }

    /// Writes the kind of every job that is added from now on into the table `added_job`.
    pub async fn log_added_jobs(&self) {
        self.sql(
            "create table added_job (kind text);
             create function log_job() returns trigger language plpgsql as $$
                 begin
                     insert into added_job values (new.kind);
                     return null;
                 end $$;
             create trigger job_logged after insert on job for each row execute function log_job()",
        )
        .await;
    }

    /// Waits until the log has so many entries of failed logins and password confirmations.
    pub async fn wait_for_failed_logins(&self, entries: usize) {
        let failed = "select from activity where action in ('session.refused', 'account.password_refused')";
        wait_until("failed logins are in the log", async || (self.rows(failed).await.len() >= entries).then_some(()))
            .await;
    }
}
