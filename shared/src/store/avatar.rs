//! Pictures of accounts: small, so they are rows.

use super::{Conn, Result, sql};
use crate::{entity::avatar::Model, id::AccountId};

/// Most bytes of a picture.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Puts a picture in the place of the one before.
pub async fn put(conn: &impl Conn, account: AccountId, media_type: &str, bytes: &[u8], sha256: &[u8]) -> Result<()> {
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

/// Removes the picture. `false`: there was none.
pub async fn remove(conn: &impl Conn, account: AccountId) -> Result<bool> {
    Ok(sql::execute(conn, "delete from avatar where account_id = $1", [account.into()]).await? == 1)
}
