//! Maintenance leases: one worker at a time runs each maintenance task, and the lease says when the task is due again.

use std::time::Duration;

use sea_orm::FromQueryResult;

use super::{Conn, Result, sql};

/// Takes the lease of a task for `lease` if the task is due. Only reads while it is not due.
pub async fn acquire(conn: &impl Conn, task: &str, lease: Duration) -> Result<bool> {
    #[derive(FromQueryResult)]
    struct Row {
        acquired: bool,
    }
    let row: Option<Row> = sql::first(
        conn,
        "with due as (
             update maintenance_lease set due_at = now() + make_interval(secs => $2) where name = $1 and due_at <= now() returning 1),
         new as (
             insert into maintenance_lease (name, due_at) select $1, now() + make_interval(secs => $2)
             where not exists (select from maintenance_lease where name = $1)
             on conflict (name) do nothing returning 1)
         select exists (select from due) or exists (select from new) as acquired",
        [task.into(), lease.as_secs_f64().into()],
    )
    .await?;
    Ok(row.is_some_and(|row| row.acquired))
}

/// Sets when the task is due again: one lease from now while it runs, one interval from now when it is done.
pub async fn extend(conn: &impl Conn, task: &str, wait: Duration) -> Result<()> {
    sql::execute(
        conn,
        "update maintenance_lease set due_at = now() + make_interval(secs => $2) where name = $1",
        [task.into(), wait.as_secs_f64().into()],
    )
    .await?;
    Ok(())
}
