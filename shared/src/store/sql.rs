//! Three ways to run a statement written out in SQL.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};

use super::Result;

fn statement(sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

/// Runs it and says how many rows it touched.
pub(super) async fn execute(
    conn: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64> {
    Ok(conn.execute_raw(statement(sql, values)).await?.rows_affected())
}

/// Its first row, if there is one.
pub(super) async fn first<T: FromQueryResult>(
    conn: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<T>> {
    conn.query_one_raw(statement(sql, values)).await?.map(|row| T::from_query_result(&row, "")).transpose()
}

/// All its rows.
pub(super) async fn all<T: FromQueryResult>(
    conn: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>> {
    conn.query_all_raw(statement(sql, values)).await?.iter().map(|row| T::from_query_result(row, "")).collect()
}
