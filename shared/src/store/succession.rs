//! Succession: which workspaces an erased account leaves, and whether each is kept, transferred or deleted.

use sea_orm::{FromQueryResult, raw_sql};

use super::{Result, Tx, sql};
use crate::{
    domain::role::Role,
    id::{AccountId, WorkspaceId},
};

/// Workspaces of which the account is a member or to which it has invited, in lock order.
pub async fn workspaces(tx: &Tx, account: AccountId) -> Result<Vec<WorkspaceId>> {
    let workspaces = raw_sql!(
        Postgres,
        "select workspace_id from member where account_id = {account}
         union select workspace_id from invite where invited_by = {account} order by workspace_id"
    );
    sql::all_values(tx, workspaces).await
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
    let decision = raw_sql!(
        Postgres,
        "select role,
             role <> 'owner' or exists (select from member other
                 where other.workspace_id = {workspace} and other.account_id <> {account} and other.role = 'owner')
                 as keeps_owner,
             (select successor.account_id from member successor join account on account.id = successor.account_id
              where successor.workspace_id = {workspace} and successor.account_id <> {account}
                and successor.role = 'admin'
              order by account.state <> 'active' or account.erase_at is not null,
                  successor.created_at, successor.account_id
              limit 1) as successor
         from member where workspace_id = {workspace} and account_id = {account}"
    );
    let row: Option<Row> = sql::first(tx, decision).await?;
    Ok(row.map(|row| match row.successor {
        _ if row.keeps_owner => (row.role, Succession::Keep),
        Some(successor) => (row.role, Succession::Transfer(successor)),
        None => (row.role, Succession::Delete),
    }))
}
