//! The keys that belong to this database: stored at the first start, compared at later ones.

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, raw_sql, sea_query::OnConflict};

use super::{Conn, Error, Result, Tx, sql};
use crate::entity::installation::{ActiveModel, Column, Entity, Model};

/// The keys of this database; `None` before the first start.
pub async fn find(conn: &impl Conn) -> Result<Option<Model>> {
    Entity::find().one(conn).await
}

/// Whether this is the check value of the database's master key. The first call stores it.
pub async fn verify_master_key(conn: &impl Conn, check: &[u8; 32]) -> Result<bool> {
    let first = ActiveModel { master_key_check: Set(check.to_vec()), ..Default::default() };
    let unless_stored = OnConflict::new().do_nothing().to_owned();
    Entity::insert(first).on_conflict(unless_stored).exec_without_returning(conn).await?;
    Ok(find(conn).await?.is_some_and(|row| row.master_key_check == check))
}

/// Whether this is the id of the database's signing keys. The first call stores it.
pub async fn verify_signing_key(conn: &impl Conn, id: &str) -> Result<bool> {
    Entity::update_many()
        .set(ActiveModel { signing_key_id: Set(Some(id.to_owned())), ..Default::default() })
        .filter(Column::SigningKeyId.is_null())
        .exec(conn)
        .await?;
    Ok(find(conn).await?.is_some_and(|row| row.signing_key_id.as_deref() == Some(id)))
}

/// Replaces the id of the database's signing keys; returns the previous one.
///
/// # Errors
/// Also when no master key is stored.
pub async fn replace_signing_key(tx: &Tx, id: &str) -> Result<Option<String>> {
    let replaced = raw_sql!(Postgres, "update installation set signing_key_id = {id} returning old.signing_key_id");
    sql::first_value(tx, replaced).await?.ok_or(Error::RecordNotUpdated)
}
