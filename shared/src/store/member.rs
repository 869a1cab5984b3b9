//! Members of workspaces and their roles.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait, RelationTrait, Select, SelectExt, raw_sql, sea_query::OnConflict,
};

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
    entity::{
        account,
        member::{ActiveModel, Column, Entity, Relation},
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
    match *credential {
        Credential::Session { account, session } => {
            let access = raw_sql!(
                Postgres,
                "select account.id as account_id, account.state, member.role, session.id as session_id
                 from session join account on account.id = session.account_id
                 left join member on member.account_id = account.id and member.workspace_id = {workspace}
                 where account.id = {account} and session.id = {session} and session.expires_at > now()"
            );
            sql::first(conn, access).await
        }
        Credential::Token(hash) => {
            let hash = hash.as_slice();
            let access = raw_sql!(
                Postgres,
                "select account.id as account_id, account.state, member.role, null::uuid as session_id,
                     token.id as token_id, token.permissions, token.workspaces
                 from api_token token join account on account.id = token.account_id
                 left join member on member.account_id = account.id and member.workspace_id = {workspace}
                 where token.hash = {hash} and token.expires_at > now() and account.erase_at is null"
            );
            sql::first(conn, access).await
        }
    }
}

/// Adds a member.
///
/// # Errors
/// Also when the account is a member already.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, account: AccountId, role: Role) -> Result<()> {
    Entity::insert(membership(workspace, account, role)).exec_without_returning(tx).await?;
    Ok(())
}

fn membership(workspace: WorkspaceId, account: AccountId, role: Role) -> ActiveModel {
    ActiveModel { workspace_id: Set(workspace), account_id: Set(account), role: Set(role), ..Default::default() }
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

fn select_profiles(workspace: WorkspaceId) -> Select<Entity> {
    Entity::find()
        .select_only()
        .columns([Column::AccountId, Column::Role, Column::CreatedAt])
        .columns([account::Column::DisplayName, account::Column::Email])
        .join(JoinType::InnerJoin, Relation::Account.def())
        .filter(Column::WorkspaceId.eq(workspace))
}

/// A member.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, account: AccountId) -> Result<Option<MemberProfile>> {
    select_profiles(workspace).filter(Column::AccountId.eq(account)).into_model().one(conn).await
}

/// Members after `after`, sorted by account id, at most `limit`.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    after: Option<AccountId>,
    limit: i64,
) -> Result<Vec<MemberProfile>> {
    select_profiles(workspace)
        .apply_if(after, |select, after| select.filter(Column::AccountId.gt(after)))
        .order_by_asc(Column::AccountId)
        .limit(sql::row_limit(limit))
        .into_model()
        .all(conn)
        .await
}

/// The account's role; for decisions under [`super::workspace::lock`].
pub async fn role(tx: &Tx, workspace: WorkspaceId, account: AccountId) -> Result<Option<Role>> {
    Ok(Entity::find_by_id((workspace, account)).one(tx).await?.map(|member| member.role))
}

/// Whether the workspace has another owner who is neither suspended nor being erased; call it under
/// [`super::workspace::lock`].
pub async fn has_other_owner(tx: &Tx, workspace: WorkspaceId, account: AccountId) -> Result<bool> {
    Entity::find()
        .join(JoinType::InnerJoin, Relation::Account.def())
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::AccountId.ne(account))
        .filter(Column::Role.eq(Role::Owner))
        .filter(account::Column::State.eq(AccountState::Active))
        .filter(account::Column::EraseAt.is_null())
        .exists(tx)
        .await
}

/// Adds a member who accepted an invite. `false`: the account is a member already.
pub async fn join(tx: &Tx, workspace: WorkspaceId, account: AccountId, role: Role) -> Result<bool> {
    let unless_member = OnConflict::new().do_nothing().to_owned();
    let joined = Entity::insert(membership(workspace, account, role)).on_conflict(unless_member);
    Ok(joined.exec_without_returning(tx).await? == 1)
}

/// Changes a member's role and withdraws the member's invites that the new role does not allow.
pub async fn set_role(tx: &Tx, workspace: WorkspaceId, account: AccountId, role: Role) -> Result<Vec<WithdrawnInvite>> {
    Entity::update_many()
        .set(ActiveModel { role: Set(role), ..Default::default() })
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::AccountId.eq(account))
        .exec(tx)
        .await?;
    let withdrawn_roles: &[Role] = match Permission::ManageInvites.lowest_role() {
        lowest if role < lowest => &Role::ALL,
        _ => Role::ALL.split_at(Role::ALL.iter().take_while(|other| **other <= role).count()).1,
    };
    super::invite::withdraw(tx, workspace, account, withdrawn_roles).await
}

/// Removes a member and withdraws the member's invites.
pub async fn remove(tx: &Tx, workspace: WorkspaceId, account: AccountId) -> Result<Vec<WithdrawnInvite>> {
    Entity::delete_by_id((workspace, account)).exec(tx).await?;
    super::invite::withdraw(tx, workspace, account, &Role::ALL).await
}
