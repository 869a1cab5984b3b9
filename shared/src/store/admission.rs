//! Admissions: who may sign up where not everybody may.

use chrono::{DateTime, Utc};

use super::{Conn, Result, Tx, sql};
use crate::id::AdmissionId;

/// An operator's word that there may be an account of an address.
#[derive(Debug)]
#[allow(missing_docs, reason = "columns of `admission`")]
pub struct NewAdmission<'a> {
    pub id: AdmissionId,
    /// Normalised: see [`crate::domain::account::normalise_email`].
    pub email: &'a str,
    pub code_hash: [u8; 32],
    pub expires_at: DateTime<Utc>,
}

/// Admits an address, in the place of what admitted it before.
pub async fn insert(tx: &Tx, admission: &NewAdmission<'_>) -> Result<()> {
    sql::execute(
        tx,
        "insert into admission (id, email, code_hash, expires_at) values ($1, $2, $3, $4)
         on conflict (email) do update set
             id = excluded.id, code_hash = excluded.code_hash, created_at = now(), expires_at = excluded.expires_at",
        [admission.id.into(), admission.email.into(), admission.code_hash.to_vec().into(), admission.expires_at.into()],
    )
    .await?;
    Ok(())
}

/// Whether this code lets this address in.
pub async fn admits(conn: &impl Conn, code_hash: &[u8; 32], email: &str) -> Result<bool> {
    let rows = sql::execute(
        conn,
        "select from admission where code_hash = $1 and email = $2 and expires_at > now()",
        [code_hash.to_vec().into(), email.into()],
    )
    .await?;
    Ok(rows > 0)
}

/// Forgets admissions that have expired.
pub async fn forget_expired(conn: &impl Conn) -> Result<u64> {
    sql::execute(conn, "delete from admission where expires_at < now()", []).await
}
