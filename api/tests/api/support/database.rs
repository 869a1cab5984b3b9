//! Looking behind the API: what the database holds.

use crate::support::app::{TestApp, until};

/// A chunk as it is stored.
pub struct Chunk {
    pub text: String,
    pub start: usize,
    pub end: usize,
    pub page: Option<i32>,
    pub heading_path: Vec<String>,
    pub vectors: i64,
}

impl TestApp {
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

    /// Waits until so many refused logins and passwords are written down.
    pub async fn refused(&self, entries: usize) {
        let refused = "select from activity where action in ('session.refused', 'account.password_refused')";
        until("refusals in the log", async || (self.rows(refused).await.len() >= entries).then_some(())).await;
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> i64 {
        self.rows(&format!("select count(*) as n from {table}")).await[0].try_get("", "n").unwrap()
    }
}
