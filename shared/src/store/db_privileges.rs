//! Privileges of the database role that the programs connect as.

use sea_orm::{FromQueryResult, raw_sql};

use super::{Conn, Error, Result, sql};

/// What the role of a connection could do to the activity log.
#[derive(Clone, Debug, FromQueryResult)]
pub struct DbPrivileges {
    /// The role.
    pub role: String,
    /// PostgreSQL checks no privilege of a superuser.
    pub superuser: bool,
    /// The role owns the tables, or is a member of the role that does: it can drop the triggers that protect the log.
    pub owner: bool,
}

/// The privileges of this connection's role.
pub async fn current(conn: &impl Conn) -> Result<DbPrivileges> {
    let privileges = raw_sql!(
        Postgres,
        "select current_user::text as role, rolsuper as superuser,
             exists (select from pg_class
                 where oid = to_regclass('activity') and pg_has_role(relowner, 'member')) as owner
         from pg_roles where rolname = current_user"
    );
    let privileges = sql::first(conn, privileges).await?;
    privileges.ok_or_else(|| Error::RecordNotFound("the role of the connection".to_owned()))
}
