//! The versions of the secret by which requests to services of a workspace are signed. The secret itself is in no row
//! (`crypt::webhook_signature`).

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, raw_sql};

use super::{Conn, Result, Tx, sql};
use crate::id::WorkspaceId;

/// How long requests are signed by the version before as well, so that receivers have time to change theirs.
pub const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// A new version of the secret.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct NewVersion {
    /// The version, from 1.
    pub version: i32,
    /// Until when the version before signs as well.
    pub overlap_until: DateTime<Utc>,
}

/// The versions that sign, the newest first; none before the first secret.
pub async fn versions(conn: &impl Conn, workspace: WorkspaceId) -> Result<Vec<i32>> {
    let overlap = OVERLAP.as_secs_f64();
    let versions = raw_sql!(
        Postgres,
        "select v.version from workspace w,
             lateral (values (w.signing_version), (w.signing_version - 1)) v (version)
         where w.id = {workspace} and v.version > 0
             and (v.version = w.signing_version or w.signing_changed_at > now() - {overlap} * interval '1 second')
         order by v.version desc"
    );
    sql::all_values::<(i32,)>(conn, versions)
        .await
        .map(|versions| versions.into_iter().map(|(version,)| version).collect())
}

/// Begins a new version; `None`: there is no such workspace.
pub async fn rotate(tx: &Tx, workspace: WorkspaceId) -> Result<Option<NewVersion>> {
    let overlap = OVERLAP.as_secs_f64();
    let rotated = raw_sql!(
        Postgres,
        "update workspace set signing_version = signing_version + 1, signing_changed_at = now()
         where id = {workspace} and deleted_at is null
         returning signing_version as version, now() + {overlap} * interval '1 second' as overlap_until"
    );
    sql::first(tx, rotated).await
}
