//! The rights of a role that runs the programs and owns nothing.

use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, sqlx::postgres::PgConnectOptions,
};

use crate::apply::{ApplyError, apply, connect, exclusively};

/// A statement for each table and each thing that is not a table's. The log is read and written, never changed; of a
/// chain's last place only the place itself is.
const STATEMENTS: &str = "
    select format('grant usage on schema %I to %I', current_schema(), $1::text) as statement
    union all
    select format('revoke all on %1$I.%2$I from %3$I; grant %4$s on %1$I.%2$I to %3$I', current_schema(), relname, $1::text,
        case relname
            when 'activity' then 'select, insert'
            when 'activity_chain' then 'select, insert, update (seq, seal)'
            when 'seaql_migrations' then 'select'
            else 'select, insert, update, delete'
        end)
    from pg_class
    where relnamespace = quote_ident(current_schema())::regnamespace and relkind = 'r'
        and relowner = quote_ident(current_user)::regrole
    union all
    select format('grant execute on function %I.create_space_index(uuid, integer) to %I', current_schema(), $1::text)";

/// Gives a role what the programs need, and takes from it what else it may do to the tables. `url` is the owner's.
///
/// # Errors
/// See [`ApplyError`]: the role must exist, and be another than the owner.
pub async fn grant(url: &str, role: &str) -> Result<(), ApplyError> {
    let db = connect(url).await.map_err(ApplyError::Unreachable)?;
    let result = exclusively(&db, async |db| give(db, role).await).await;
    db.close().await?;
    result
}

/// Applies the migrations as their owner, then gives the role of the other URL its rights.
///
/// # Errors
/// See [`ApplyError`].
pub async fn apply_as(owner_url: &str, url: &str) -> Result<(), ApplyError> {
    let owner = |error| match error {
        ApplyError::Unreachable(source) => ApplyError::OwnerUnreachable(source),
        error => error,
    };
    apply(owner_url).await.map_err(owner)?;
    let role: PgConnectOptions = url.parse().map_err(|error| DbErr::Custom(format!("NVISY_DATABASE_URL: {error}")))?;
    grant(owner_url, role.get_username()).await.map_err(owner)
}

async fn give(db: &DatabaseConnection, role: &str) -> Result<(), ApplyError> {
    let ask = |sql: &str| Statement::from_sql_and_values(DbBackend::Postgres, sql, [role.into()]);
    let who = "select exists (select from pg_roles where rolname = $1) as known, current_user = $1 as own";
    let row = db.query_one_raw(ask(who)).await?.ok_or_else(|| DbErr::RecordNotFound("a role".to_owned()))?;
    if !row.try_get::<bool>("", "known")? {
        return Err(ApplyError::NoRole(role.to_owned()));
    }
    if row.try_get::<bool>("", "own")? {
        return Err(ApplyError::Owner(role.to_owned()));
    }
    let rows = db.query_all_raw(ask(STATEMENTS)).await?;
    let statements: Vec<String> = rows.iter().map(|row| row.try_get("", "statement")).collect::<Result<_, DbErr>>()?;
    // Sent as one: all of them or none, and no moment without rights for programs that are running.
    db.execute_unprepared(&statements.join(";\n")).await?;
    Ok(())
}
