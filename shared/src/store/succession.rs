//! Succession: which workspaces an erased account leaves, and whether each is kept, transferred or deleted.

use sea_orm::FromQueryResult;

use super::{Result, Tx, sql};
use crate::{
    domain::role::Role,
    id::{AccountId, WorkspaceId},
};

/// Workspaces of which the account is a member or to which it has invited, in lock order.
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

/// What happens to a workspace when a member's account is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// The workspace keeps its owner: another account owns it, or the member did not.
    Keep,
    /// This admin becomes the owner.
    Transfer(AccountId),
    /// The workspace is deleted: guests and plain members do not become owners automatically.
    Delete,
}

/// The member's role and the succession after that member; call it under [`super::workspace::lock`]. `None`: the account
/// is not a member.
pub async fn decide(tx: &Tx, workspace: WorkspaceId, account: AccountId) -> Result<Option<(Role, Succession)>> {
    #[derive(FromQueryResult)]
    struct Row {
        role: Role,
        keeps_owner: bool,
        successor: Option<AccountId>,
    }
    let row: Option<Row> = sql::first(
        tx,
        "select role,
             role <> 'owner' or exists (select from member other
                 where other.workspace_id = $1 and other.account_id <> $2 and other.role = 'owner') as keeps_owner,
             (select successor.account_id from member successor join account on account.id = successor.account_id
              where successor.workspace_id = $1 and successor.account_id <> $2 and successor.role = 'admin'
              order by account.state <> 'active' or account.erase_at is not null,
                  successor.created_at, successor.account_id
              limit 1) as successor
         from member where workspace_id = $1 and account_id = $2",
        [workspace.into(), account.into()],
    )
    .await?;
    Ok(row.map(|row| match row.successor {
        _ if row.keeps_owner => (row.role, Succession::Keep),
        Some(successor) => (row.role, Succession::Transfer(successor)),
        None => (row.role, Succession::Delete),
    }))
}
