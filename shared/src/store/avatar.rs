//! Pictures of accounts, stored in the database because they are small.

use sea_orm::{ActiveValue::Set, EntityTrait, sea_query::OnConflict};

use super::{Conn, Result};
use crate::{
    entity::avatar::{ActiveModel, Column, Entity, Model},
    id::AccountId,
};

/// Maximum size of a picture.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Adds or replaces the picture of an account.
pub async fn upsert(conn: &impl Conn, account: AccountId, media_type: &str, bytes: &[u8], sha256: &[u8]) -> Result<()> {
    let picture = ActiveModel {
        account_id: Set(account),
        media_type: Set(media_type.to_owned()),
        bytes: Set(bytes.to_vec()),
        sha256: Set(sha256.to_vec()),
    };
    let replace = OnConflict::column(Column::AccountId)
        .update_columns([Column::MediaType, Column::Bytes, Column::Sha256])
        .to_owned();
    Entity::insert(picture).on_conflict(replace).exec_without_returning(conn).await?;
    Ok(())
}

/// The picture of an account.
pub async fn find(conn: &impl Conn, account: AccountId) -> Result<Option<Model>> {
    Entity::find_by_id(account).one(conn).await
}

/// Deletes the picture. `false`: there was none.
pub async fn delete(conn: &impl Conn, account: AccountId) -> Result<bool> {
    Ok(Entity::delete_by_id(account).exec(conn).await?.rows_affected == 1)
}
