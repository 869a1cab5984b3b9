//! Admissions: who may sign up where not everybody may.

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;

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
///
/// # Errors
/// The database's.
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

/// Whether this code lets this address in; `by_invite`: a workspace's invite to it does, too, which is not used up.
///
/// # Errors
/// The database's.
pub async fn admits(conn: &impl Conn, code_hash: &[u8; 32], email: &str, by_invite: bool) -> Result<bool> {
    #[derive(FromQueryResult)]
    struct Row {
        admitted: bool,
    }
    let row: Option<Row> = sql::first(
        conn,
        "select exists (select from admission where code_hash = $1 and email = $2 and expires_at > now())
             or $3 and exists (
                 select from invite
                 join workspace on workspace.id = invite.workspace_id and workspace.deleted_at is null
                 left join account inviter on inviter.id = invite.invited_by
                 where invite.code_hash = $1 and invite.email = $2 and invite.expires_at > now()
                   and inviter.state is distinct from 'suspended') as admitted",
        [code_hash.to_vec().into(), email.into(), by_invite.into()],
    )
    .await?;
    Ok(row.is_some_and(|row| row.admitted))
}

/// Forgets admissions that have expired.
///
/// # Errors
/// The database's.
pub async fn forget_expired(conn: &impl Conn) -> Result<u64> {
    sql::execute(conn, "delete from admission where expires_at < now()", []).await
}
