//! Sign-up permits: an operator allows one address to sign up where sign-up is restricted.

use chrono::{DateTime, Utc};

use super::{Conn, Result, Tx, sql};
use crate::id::SignUpPermitId;

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
    sql::execute(
        tx,
        "insert into sign_up_permit (id, email, code_hash, expires_at) values ($1, $2, $3, $4)
         on conflict (email) do update set
             id = excluded.id, code_hash = excluded.code_hash, created_at = now(), expires_at = excluded.expires_at",
        [permit.id.into(), permit.email.into(), permit.code_hash.to_vec().into(), permit.expires_at.into()],
    )
    .await?;
    Ok(())
}

/// Whether an unexpired permit has this code and address.
pub async fn is_valid(conn: &impl Conn, code_hash: &[u8; 32], email: &str) -> Result<bool> {
    let rows = sql::execute(
        conn,
        "select from sign_up_permit where code_hash = $1 and email = $2 and expires_at > now()",
        [code_hash.to_vec().into(), email.into()],
    )
    .await?;
    Ok(rows > 0)
}

/// Deletes expired permits.
pub async fn delete_expired(conn: &impl Conn) -> Result<u64> {
    sql::execute(conn, "delete from sign_up_permit where expires_at < now()", []).await
}
