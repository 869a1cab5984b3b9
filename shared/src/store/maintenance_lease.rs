//! Maintenance leases: one worker at a time runs each maintenance task, and the lease says when the task is due again.

use std::time::Duration;

use sea_orm::raw_sql;

use super::{Conn, Result, sql};

/// Takes the lease of a task for `lease` if the task is due. Only reads while it is not due.
pub async fn acquire(conn: &impl Conn, task: &str, lease: Duration) -> Result<bool> {
    let lease_seconds = lease.as_secs_f64();
    let acquired = raw_sql!(
        Postgres,
        "with due as (
             update maintenance_lease set due_at = now() + make_interval(secs => {lease_seconds})
             where name = {task} and due_at <= now() returning 1),
         new as (
             insert into maintenance_lease (name, due_at) select {task}, now() + make_interval(secs => {lease_seconds})
             where not exists (select from maintenance_lease where name = {task})
             on conflict (name) do nothing returning 1)
         select exists (select from due) or exists (select from new)"
    );
    Ok(sql::first_value(conn, acquired).await? == Some(true))
}

/// Sets when the task is due again: one lease from now while it runs, one interval from now when it is done.
pub async fn extend(conn: &impl Conn, task: &str, wait: Duration) -> Result<()> {
    let wait_seconds = wait.as_secs_f64();
    let extended = raw_sql!(
        Postgres,
        "update maintenance_lease set due_at = now() + make_interval(secs => {wait_seconds}) where name = {task}"
    );
    sql::execute(conn, extended).await?;
    Ok(())
}
