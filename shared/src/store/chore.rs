//! Who does what is to be done once for all workers, and when it is due again.

use std::time::Duration;

use sea_orm::FromQueryResult;

use super::{Conn, Result, sql};

/// Whether this chore is due and now the caller's, for `lease` unless [`put_off`] prolongs it. Reads only while it is not due.
pub async fn take(conn: &impl Conn, name: &str, lease: Duration) -> Result<bool> {
    #[derive(FromQueryResult)]
    struct Taken {
        taken: bool,
    }
    let taken: Option<Taken> = sql::first(
        conn,
        "with due as (
             update chore set due_at = now() + make_interval(secs => $2) where name = $1 and due_at <= now() returning 1),
         new as (
             insert into chore (name, due_at) select $1, now() + make_interval(secs => $2)
             where not exists (select from chore where name = $1)
             on conflict (name) do nothing returning 1)
         select exists (select from due) or exists (select from new) as taken",
        [name.into(), lease.as_secs_f64().into()],
    )
    .await?;
    Ok(taken.is_some_and(|taken| taken.taken))
}

/// Says when the chore is due again: a lease from now while it is being done, an interval from now when it is done.
pub async fn put_off(conn: &impl Conn, name: &str, wait: Duration) -> Result<()> {
    sql::execute(
        conn,
        "update chore set due_at = now() + make_interval(secs => $2) where name = $1",
        [name.into(), wait.as_secs_f64().into()],
    )
    .await?;
    Ok(())
}
