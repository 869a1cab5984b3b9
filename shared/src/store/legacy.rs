//! What becomes of workspaces when somebody who belongs to them is erased.

use sea_orm::FromQueryResult;

use super::{Result, Tx, sql};
use crate::{
    domain::role::Role,
    id::{AccountId, WorkspaceId},
};

/// Workspaces that the account belongs to or has invited to, in the order in which they are to be locked.
pub async fn workspaces(tx: &Tx, account: AccountId) -> Result<Vec<WorkspaceId>> {
    #[derive(FromQueryResult)]
    struct Row {
        workspace_id: WorkspaceId,
    }
    let rows: Vec<Row> = sql::all(
        tx,
        "select workspace_id from member where account_id = $1
         union select workspace_id from invite where invited_by = $1 order by workspace_id",
        [account.into()],
    )
    .await?;
    Ok(rows.into_iter().map(|row| row.workspace_id).collect())
}

/// What becomes of a workspace without a certain member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on: there is an owner, or the member was none.
    Stays,
    /// This admin becomes its owner.
    Inherited(AccountId),
    /// It goes with the member. Guests and plain members have not been trusted with it, and do not become owners by
    /// themselves.
    Ends,
}

/// The member's role, and what becomes of the workspace without them; under [`super::workspace::lock`]. `None`: it is no
/// member.
pub async fn fate(tx: &Tx, workspace: WorkspaceId, account: AccountId) -> Result<Option<(Role, Fate)>> {
    #[derive(FromQueryResult)]
    struct Row {
        role: Role,
        owned: bool,
        heir: Option<AccountId>,
    }
    let row: Option<Row> = sql::first(
        tx,
        "select role,
             role <> 'owner' or exists (select from member other
                 where other.workspace_id = $1 and other.account_id <> $2 and other.role = 'owner') as owned,
             (select heir.account_id from member heir join account on account.id = heir.account_id
              where heir.workspace_id = $1 and heir.account_id <> $2 and heir.role = 'admin'
              order by account.state <> 'active' or account.erase_at is not null, heir.created_at, heir.account_id
              limit 1) as heir
         from member where workspace_id = $1 and account_id = $2",
        [workspace.into(), account.into()],
    )
    .await?;
    Ok(row.map(|row| match row.heir {
        _ if row.owned => (row.role, Fate::Stays),
        Some(heir) => (row.role, Fate::Inherited(heir)),
        None => (row.role, Fate::Ends),
    }))
}
