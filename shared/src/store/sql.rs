//! Runs statements of `raw_sql!`, and has the expressions that several modules need.
//!
//! `raw_sql!` binds values by name: `{name}` is a variable or a field of one. An id, an enumeration or a list of them is one
//! parameter (`= any({ids})`), so the text of a statement is constant and PostgreSQL prepares it once per connection.
//! The test in `statements` prepares each of them.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select, Statement, TryGetableMany, Value,
    sea_query::{Expr, ExprTrait},
};

use super::Result;

/// Runs a statement and returns the number of affected rows.
pub(super) async fn execute(conn: &impl ConnectionTrait, statement: Statement) -> Result<u64> {
    Ok(conn.execute_raw(statement).await?.rows_affected())
}

/// Runs a query and returns its first row, if there is one.
pub(super) async fn first<T: FromQueryResult>(conn: &impl ConnectionTrait, statement: Statement) -> Result<Option<T>> {
    conn.query_one_raw(statement).await?.map(|row| T::from_query_result(&row, "")).transpose()
}

/// Runs a query and returns all rows.
pub(super) async fn all<T: FromQueryResult>(conn: &impl ConnectionTrait, statement: Statement) -> Result<Vec<T>> {
    conn.query_all_raw(statement).await?.iter().map(|row| T::from_query_result(row, "")).collect()
}

/// Like [`first`], for a single column, or a tuple of the columns in order.
pub(super) async fn first_value<T: TryGetableMany>(
    conn: &impl ConnectionTrait,
    statement: Statement,
) -> Result<Option<T>> {
    conn.query_one_raw(statement).await?.map(|row| row.try_get_many_by_index()).transpose()
}

/// Like [`all`], for a single column, or a tuple of the columns in order.
pub(super) async fn all_values<T: TryGetableMany>(conn: &impl ConnectionTrait, statement: Statement) -> Result<Vec<T>> {
    conn.query_all_raw(statement).await?.iter().map(|row| row.try_get_many_by_index()).collect()
}

/// The time of the transaction by the database's clock.
pub(super) fn now() -> Expr {
    Expr::current_timestamp()
}

/// [`now`], plus a duration.
pub(super) fn from_now(duration: Duration) -> Expr {
    now().add(interval(duration))
}

fn interval(duration: Duration) -> Expr {
    Expr::val(duration.as_secs_f64()).mul(Expr::cust("interval '1 second'"))
}

/// Whether the column's time is before [`now`].
pub(super) fn is_past(column: impl ColumnTrait) -> Expr {
    column.into_expr().lt(now())
}

/// Whether the column's time is after [`now`].
pub(super) fn is_future(column: impl ColumnTrait) -> Expr {
    column.into_expr().gt(now())
}

/// Whether the column's time is more than `age` ago.
pub(super) fn is_older_than(column: impl ColumnTrait, age: Duration) -> Expr {
    column.into_expr().lt(now().sub(interval(age)))
}

/// The column's number, plus one.
pub(super) fn incremented(column: impl ColumnTrait) -> Expr {
    Expr::col(column).add(1)
}

/// The rows before `before`, newest first, at most `limit`: ids are ordered by creation time.
pub(super) fn newest<E: EntityTrait>(
    select: Select<E>,
    id: E::Column,
    before: Option<impl Into<Value>>,
    limit: i64,
) -> Select<E> {
    select
        .apply_if(before, |select, before| select.filter(ColumnTrait::lt(&id, before)))
        .order_by_desc(id)
        .limit(row_limit(limit))
}

/// The maximum number of rows, as SeaORM expects it.
pub(super) fn row_limit(limit: i64) -> u64 {
    u64::try_from(limit).unwrap_or_default()
}
