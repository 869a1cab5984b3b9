//! Workspaces: tenants.

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;

use super::{Conn, Error, Result, Tx, member, sql};
use crate::{
    domain::{pipeline::Definition, role::Role},
    id::{AccountId, PipelineId, WorkspaceId},
};

/// A workspace as one of its members sees it.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `workspace`")]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
    /// The member's.
    pub role: Role,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Adds a workspace with all it is born with: its owner, and the built-in `index` pipeline, defined by a
/// definition that compiles.
///
/// # Errors
/// The database's.
pub async fn insert(tx: &Tx, name: &str, owner: AccountId, index: &Definition) -> Result<Workspace> {
    let id = WorkspaceId::new();
    sql::execute(tx, "insert into workspace (id, name) values ($1, $2)", [id.into(), name.into()]).await?;
    member::insert(tx, id, owner, Role::Owner).await?;
    let definition = serde_json::to_value(index).map_err(|error| Error::Json(error.to_string()))?;
    sql::execute(
        tx,
        "with pipeline as (
             insert into pipeline (workspace_id, id, name, builtin, version) values ($1, $2, 'index', true, 1)
             returning workspace_id, id, version)
         insert into pipeline_version (workspace_id, pipeline_id, number, definition)
         select workspace_id, id, version, $3 from pipeline",
        [id.into(), PipelineId::new().into(), definition.into()],
    )
    .await?;
    of_member(tx, id, owner).await?.ok_or_else(|| Error::RecordNotInserted)
}

/// The workspace, if the account is a member of it.
///
/// # Errors
/// The database's.
pub async fn of_member(conn: &impl Conn, id: WorkspaceId, account: AccountId) -> Result<Option<Workspace>> {
    sql::first(
        conn,
        "select id, name, role, workspace.created_at, updated_at
         from workspace join member on workspace_id = id
         where id = $1 and account_id = $2",
        [id.into(), account.into()],
    )
    .await
}

/// The account's workspaces, newest first: at most `limit`, those older than `before`.
///
/// # Errors
/// The database's.
pub async fn of_account(
    conn: &impl Conn,
    account: AccountId,
    before: Option<WorkspaceId>,
    limit: i64,
) -> Result<Vec<Workspace>> {
    // Ids are ordered by time.
    sql::all(
        conn,
        "select id, name, role, workspace.created_at, updated_at
         from workspace join member on workspace_id = id
         where account_id = $1 and ($2::uuid is null or id < $2)
         order by id desc limit $3",
        [account.into(), before.into(), limit.into()],
    )
    .await
}
