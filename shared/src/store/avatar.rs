//! Pictures of accounts, stored in the database because they are small.

use super::{Conn, Result, sql};
use crate::{entity::avatar::Model, id::AccountId};

/// Maximum size of a picture.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Adds or replaces the picture of an account.
pub async fn upsert(conn: &impl Conn, account: AccountId, media_type: &str, bytes: &[u8], sha256: &[u8]) -> Result<()> {
    sql::execute(
        conn,
        "insert into avatar (account_id, media_type, bytes, sha256) values ($1, $2, $3, $4)
         on conflict (account_id) do update
             set media_type = excluded.media_type, bytes = excluded.bytes, sha256 = excluded.sha256",
        [account.into(), media_type.into(), bytes.to_vec().into(), sha256.to_vec().into()],
    )
    .await?;
    Ok(())
}

/// The picture of an account.
pub async fn find(conn: &impl Conn, account: AccountId) -> Result<Option<Model>> {
    sql::first(conn, "select * from avatar where account_id = $1", [account.into()]).await
}

/// Deletes the picture. `false`: there was none.
pub async fn delete(conn: &impl Conn, account: AccountId) -> Result<bool> {
    Ok(sql::execute(conn, "delete from avatar where account_id = $1", [account.into()]).await? == 1)
}
