//! The keys that belong to this database: stored at the first start, compared at later ones.

use sea_orm::{EntityTrait, FromQueryResult};

use super::{Conn, Error, Result, Tx, sql};
use crate::entity::installation;

/// The keys of this database; `None` before the first start.
pub async fn find(conn: &impl Conn) -> Result<Option<installation::Model>> {
    installation::Entity::find().one(conn).await
}

/// Whether this is the check value of the database's master key. The first call stores it.
pub async fn verify_master_key(conn: &impl Conn, check: &[u8; 32]) -> Result<bool> {
    sql::execute(
        conn,
        "insert into installation (master_key_check) values ($1) on conflict do nothing",
        [check.to_vec().into()],
    )
    .await?;
    Ok(find(conn).await?.is_some_and(|row| row.master_key_check == check))
}

/// Whether this is the id of the database's signing keys. The first call stores it.
pub async fn verify_signing_key(conn: &impl Conn, id: &str) -> Result<bool> {
    sql::execute(conn, "update installation set signing_key_id = $1 where signing_key_id is null", [id.into()]).await?;
    Ok(find(conn).await?.is_some_and(|row| row.signing_key_id.as_deref() == Some(id)))
}

/// Replaces the id of the database's signing keys; returns the previous one.
///
/// # Errors
/// Also when no master key is stored.
pub async fn replace_signing_key(tx: &Tx, id: &str) -> Result<Option<String>> {
    #[derive(FromQueryResult)]
    struct Row {
        signing_key_id: Option<String>,
    }
    let row: Option<Row> =
        sql::first(tx, "update installation set signing_key_id = $1 returning old.signing_key_id", [id.into()]).await?;
    row.map(|row| row.signing_key_id).ok_or(Error::RecordNotUpdated)
}
