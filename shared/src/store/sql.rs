//! Runs raw SQL statements.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};

use super::Result;

fn statement(sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

/// Runs a statement and returns the number of affected rows.
pub(super) async fn execute(
    conn: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64> {
    Ok(conn.execute_raw(statement(sql, values)).await?.rows_affected())
}

/// Runs a query and returns its first row, if there is one.
pub(super) async fn first<T: FromQueryResult>(
    conn: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<T>> {
    conn.query_one_raw(statement(sql, values)).await?.map(|row| T::from_query_result(&row, "")).transpose()
}

/// Runs a query and returns all rows.
pub(super) async fn all<T: FromQueryResult>(
    conn: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>> {
    conn.query_all_raw(statement(sql, values)).await?.iter().map(|row| T::from_query_result(row, "")).collect()
}
