//! Members of workspaces and their roles.

use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, QueryResult};

use super::{
    Conn, Result, Tx,
    credential::{AuthMethod, Credential},
    invite::WithdrawnInvite,
    sql,
};
use crate::{
    domain::{
        account::AccountState,
        role::{Permission, Role},
    },
    id::{AccountId, WorkspaceId},
};

/// The facts that decide whether a request to a workspace is allowed.
#[derive(Clone, Debug)]
pub struct Access {
    /// The account of the credential.
    pub account: AccountId,
    /// The state of the account.
    pub state: AccountState,
    /// `None`: the account is not a member, or the workspace does not exist. Responses do not distinguish the two.
    pub role: Option<Role>,
    /// How the account is authenticated.
    pub auth_method: AuthMethod,
}

impl FromQueryResult for Access {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self> {
        Ok(Self {
            account: row.try_get(prefix, "account_id")?,
            state: row.try_get(prefix, "state")?,
            role: row.try_get(prefix, "role")?,
            auth_method: AuthMethod::from_query_result(row, prefix)?,
        })
    }
}

/// Reads the access of a credential to a workspace with one statement. `None`: the credential is not valid.
pub async fn access(conn: &impl Conn, workspace: WorkspaceId, credential: &Credential) -> Result<Option<Access>> {
    match credential {
        Credential::Session { account, session } => {
            sql::first(
                conn,
                "select account.id as account_id, account.state, member.role, session.id as session_id
                 from session join account on account.id = session.account_id
                 left join member on member.account_id = account.id and member.workspace_id = $1
                 where account.id = $2 and session.id = $3 and session.expires_at > now()",
                [workspace.into(), (*account).into(), (*session).into()],
            )
            .await
        }
        Credential::Token(hash) => {
            sql::first(
                conn,
                "select account.id as account_id, account.state, member.role, null::uuid as session_id,
                     token.id as token_id, token.permissions, token.workspaces
                 from api_token token join account on account.id = token.account_id
                 left join member on member.account_id = account.id and member.workspace_id = $1
                 where token.hash = $2 and token.expires_at > now() and account.erase_at is null",
                [workspace.into(), hash.to_vec().into()],
            )
            .await
        }
    }
}

/// Adds a member.
///
/// # Errors
/// Also when the account is a member already.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, account: AccountId, role: Role) -> Result<()> {
    sql::execute(
        tx,
        "insert into member (workspace_id, account_id, role) values ($1, $2, $3)",
        [workspace.into(), account.into(), sea_orm::ActiveEnum::to_value(&role).into()],
    )
    .await?;
    Ok(())
}

/// A member as other members see it.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `member` and `account`")]
pub struct MemberProfile {
    pub account_id: AccountId,
    pub display_name: String,
    pub email: String,
    pub role: Role,
    pub created_at: DateTime<Utc>,
}

const VIEW: &str = "
    select account_id, display_name, email, role, member.created_at
    from member join account on account.id = account_id
    where workspace_id = $1";

/// A member.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, account: AccountId) -> Result<Option<MemberProfile>> {
    sql::first(conn, &format!("{VIEW} and account_id = $2"), [workspace.into(), account.into()]).await
}

/// Members after `after`, sorted by account id, at most `limit`.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    after: Option<AccountId>,
    limit: i64,
) -> Result<Vec<MemberProfile>> {
    sql::all(
        conn,
        &format!("{VIEW} and ($2::uuid is null or account_id > $2) order by account_id limit $3"),
        [workspace.into(), after.into(), limit.into()],
    )
    .await
}

/// The account's role; for decisions under [`super::workspace::lock`].
pub async fn role(tx: &Tx, workspace: WorkspaceId, account: AccountId) -> Result<Option<Role>> {
    Ok(find(tx, workspace, account).await?.map(|member| member.role))
}

/// Whether the workspace has another owner who is neither suspended nor being erased; call it under
/// [`super::workspace::lock`].
pub async fn has_other_owner(tx: &Tx, workspace: WorkspaceId, account: AccountId) -> Result<bool> {
    let rows = sql::execute(
        tx,
        "select 1 from member join account on account.id = member.account_id
         where workspace_id = $1 and account_id <> $2 and role = 'owner' and state = 'active' and erase_at is null limit 1",
        [workspace.into(), account.into()],
    )
    .await?;
    Ok(rows == 1)
}

/// Adds a member who accepted an invite. `false`: the account is a member already.
pub async fn join(tx: &Tx, workspace: WorkspaceId, account: AccountId, role: Role) -> Result<bool> {
    let rows = sql::execute(
        tx,
        "insert into member (workspace_id, account_id, role) values ($1, $2, $3) on conflict do nothing",
        [workspace.into(), account.into(), sea_orm::ActiveEnum::to_value(&role).into()],
    )
    .await?;
    Ok(rows == 1)
}

/// Changes a member's role and withdraws the member's invites that the new role does not allow.
pub async fn set_role(tx: &Tx, workspace: WorkspaceId, account: AccountId, role: Role) -> Result<Vec<WithdrawnInvite>> {
    sql::execute(
        tx,
        "update member set role = $3 where workspace_id = $1 and account_id = $2",
        [workspace.into(), account.into(), sea_orm::ActiveEnum::to_value(&role).into()],
    )
    .await?;
    let withdrawn_roles: &[Role] = match Permission::ManageInvites.lowest_role() {
        lowest if role < lowest => &Role::ALL,
        _ => Role::ALL.split_at(Role::ALL.iter().take_while(|other| **other <= role).count()).1,
    };
    super::invite::withdraw(tx, workspace, account, withdrawn_roles).await
}

/// Removes a member and withdraws the member's invites.
pub async fn remove(tx: &Tx, workspace: WorkspaceId, account: AccountId) -> Result<Vec<WithdrawnInvite>> {
    sql::execute(
        tx,
        "delete from member where workspace_id = $1 and account_id = $2",
        [workspace.into(), account.into()],
    )
    .await?;
    super::invite::withdraw(tx, workspace, account, &Role::ALL).await
}
