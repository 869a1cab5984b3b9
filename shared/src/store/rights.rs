//! As whom the database knows us.

use sea_orm::FromQueryResult;

use super::{Conn, Error, Result, sql};

/// What the role of this connection could do to the activity log.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Rights {
    /// The role.
    pub role: String,
    /// Nothing can be refused to it.
    pub superuser: bool,
    /// It may take the triggers off, or could make itself the role that may.
    pub owner: bool,
}

/// Asks who we are.
pub async fn ask(conn: &impl Conn) -> Result<Rights> {
    let rights = sql::first(
        conn,
        "select current_user::text as role, rolsuper as superuser,
             exists (select from pg_class
                 where oid = to_regclass('activity') and pg_has_role(relowner, 'member')) as owner
         from pg_roles where rolname = current_user",
        [],
    );
    rights.await?.ok_or_else(|| Error::RecordNotFound("the role of the connection".to_owned()))
}
