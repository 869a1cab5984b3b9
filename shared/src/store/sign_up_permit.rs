//! Sign-up permits: an operator allows one address to sign up where sign-up is restricted.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, SelectExt, sea_query::OnConflict};

use super::{Conn, Result, Tx, sql};
use crate::{
    entity::sign_up_permit::{ActiveModel, Column, Entity},
    id::SignUpPermitId,
};

/// A permit to be added.
#[derive(Debug)]
#[allow(missing_docs, reason = "columns of `sign_up_permit`")]
pub struct NewSignUpPermit<'a> {
    pub id: SignUpPermitId,
    /// Normalised: see [`crate::domain::account::normalise_email`].
    pub email: &'a str,
    pub code_hash: [u8; 32],
    pub expires_at: DateTime<Utc>,
}

/// Adds a permit and replaces an earlier one for the same address.
pub async fn insert(tx: &Tx, permit: &NewSignUpPermit<'_>) -> Result<()> {
    let row = ActiveModel {
        id: Set(permit.id),
        email: Set(permit.email.to_owned()),
        code_hash: Set(permit.code_hash.to_vec()),
        expires_at: Set(permit.expires_at),
        ..Default::default()
    };
    let replace = OnConflict::column(Column::Email)
        .update_columns([Column::Id, Column::CodeHash, Column::ExpiresAt])
        .value(Column::CreatedAt, sql::now())
        .to_owned();
    Entity::insert(row).on_conflict(replace).exec_without_returning(tx).await?;
    Ok(())
}

/// Whether an unexpired permit has this code and address.
pub async fn is_valid(conn: &impl Conn, code_hash: &[u8; 32], email: &str) -> Result<bool> {
    Entity::find()
        .filter(Column::CodeHash.eq(code_hash.to_vec()))
        .filter(Column::Email.eq(email))
        .filter(sql::is_future(Column::ExpiresAt))
        .exists(conn)
        .await
}

/// Deletes expired permits.
pub async fn delete_expired(conn: &impl Conn) -> Result<u64> {
    Ok(Entity::delete_many().filter(sql::is_past(Column::ExpiresAt)).exec(conn).await?.rows_affected)
}
