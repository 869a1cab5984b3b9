//! The privileges of a role that runs the programs and owns nothing.

use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, sqlx::postgres::PgConnectOptions,
};

use crate::{
    apply::{apply, connect, with_lock},
    error::ApplyError,
};

/// Selects the grants: one statement per object. The activity log can be read and appended to; a chain's last entry can only
/// be replaced. The indexes of vectors can be built anew.
const GRANTS: &str = "
    select format('grant usage on schema %I to %I', current_schema(), $1::text) as statement
    union all
    select format('revoke all on %1$I.%2$I from %3$I; grant %4$s on %1$I.%2$I to %3$I', current_schema(), relname, $1::text,
        case relname
            when 'activity' then 'select, insert'
            when 'activity_chain' then 'select, insert, update (seq, mac)'
            when 'embedding' then 'select, insert, update, delete, maintain'
            when 'seaql_migrations' then 'select'
            else 'select, insert, update, delete'
        end)
    from pg_class
    where relnamespace = quote_ident(current_schema())::regnamespace and relkind = 'r'
        and relowner = quote_ident(current_user)::regrole
    union all
    select format('grant execute on function %I.%s to %I', current_schema(), signature, $1::text)
    from unnest(array['create_space_index(uuid, integer)', 'delete_connection_space(uuid)']) signature";

/// Grants a role the privileges that the programs need, and revokes its other privileges on tables. `url` is the owner's.
///
/// # Errors
/// See [`ApplyError`]: the role must exist and must not be the owner.
pub async fn grant(url: &str, role: &str) -> Result<(), ApplyError> {
    let db = connect(url).await.map_err(ApplyError::Unreachable)?;
    let result = with_lock(&db, async |db| grant_to(db, role).await).await;
    db.close().await?;
    result
}

/// Applies the migrations as the schema's owner, then grants the role of `url` its privileges.
///
/// # Errors
/// See [`ApplyError`].
pub async fn apply_as(owner_url: &str, url: &str) -> Result<(), ApplyError> {
    let of_owner = |error| match error {
        ApplyError::Unreachable(source) => ApplyError::OwnerUnreachable(source),
        error => error,
    };
    apply(owner_url).await.map_err(of_owner)?;
    let role: PgConnectOptions = url.parse().map_err(|error| DbErr::Custom(format!("NVISY_DATABASE_URL: {error}")))?;
    grant(owner_url, role.get_username()).await.map_err(of_owner)
}

async fn grant_to(db: &DatabaseConnection, role: &str) -> Result<(), ApplyError> {
    let statement = |sql: &str| Statement::from_sql_and_values(DbBackend::Postgres, sql, [role.into()]);
    let found = "select exists (select from pg_roles where rolname = $1) as known, current_user = $1 as owner";
    let row = db.query_one_raw(statement(found)).await?.ok_or_else(|| DbErr::RecordNotFound("the role".to_owned()))?;
    if !row.try_get::<bool>("", "known")? {
        return Err(ApplyError::NoRole(role.to_owned()));
    }
    if row.try_get::<bool>("", "owner")? {
        return Err(ApplyError::Owner(role.to_owned()));
    }
    let rows = db.query_all_raw(statement(GRANTS)).await?;
    let statements: Vec<String> = rows.iter().map(|row| row.try_get("", "statement")).collect::<Result<_, DbErr>>()?;
    // One transaction: running programs keep their privileges throughout.
    db.execute_unprepared(&statements.join(";\n")).await?;
    Ok(())
}
