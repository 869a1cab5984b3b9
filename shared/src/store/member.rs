//! Members: who may do what in which workspace.

use sea_orm::FromQueryResult;

use super::{Conn, Result, Tx, sql};
use crate::{
    domain::{account::AccountState, role::Role},
    id::{AccountId, WorkspaceId},
};

/// What decides whether a request to a workspace is answered.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct Access {
    /// Whether the account may do anything at all.
    pub state: AccountState,
    /// `None`: a stranger, or there is no such workspace. Nobody is told which.
    pub role: Option<Role>,
}

/// The account's standing in a workspace, in one statement. `None`: there is no such account.
///
/// # Errors
/// The database's.
pub async fn access(conn: &impl Conn, workspace: WorkspaceId, account: AccountId) -> Result<Option<Access>> {
    sql::first(
        conn,
        "select account.state, member.role
         from account left join member on member.account_id = account.id and member.workspace_id = $1
         where account.id = $2",
        [workspace.into(), account.into()],
    )
    .await
}

/// Adds a member.
///
/// # Errors
/// The database's; also when the account is a member already.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, account: AccountId, role: Role) -> Result<()> {
    sql::execute(
        tx,
        "insert into member (workspace_id, account_id, role) values ($1, $2, $3)",
        [workspace.into(), account.into(), sea_orm::ActiveEnum::to_value(&role).into()],
    )
    .await?;
    Ok(())
}
