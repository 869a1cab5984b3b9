//! Members of workspaces and their roles.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait, RelationTrait, Select, SelectExt, raw_sql, sea_query::OnConflict,
};

use super::{
    Conn, Result, Tx,
    collection::CollectionSpace,
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
    id::{AccountId, CollectionId, WorkspaceId},
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

/// [`access`], and the [collections](super::collection::spaces) of the workspace if the account is a member, with one statement.
pub async fn access_with_collections(
    conn: &impl Conn,
    workspace: WorkspaceId,
    credential: &Credential,
) -> Result<Option<(Access, Vec<CollectionSpace>)>> {
    let (account, session, hash) = match *credential {
        Credential::Session { account, session } => (Some(account), Some(session), None),
        Credential::Token(hash) => (None, None, Some(hash.to_vec())),
    };
    let access = raw_sql!(
        Postgres,
        "with caller as materialized (
             select account.id as account_id, account.state, session.id as session_id, null::uuid as token_id,
                 null::text[] as permissions, null::uuid[] as workspaces
             from session join account on account.id = session.account_id
             where account.id = {account}::uuid and session.id = {session}::uuid and session.expires_at > now()
             union all
             select account.id, account.state, null::uuid, token.id, token.permissions, token.workspaces
             from api_token token join account on account.id = token.account_id
             where token.hash = {hash}::bytea and token.expires_at > now() and account.erase_at is null)
         select caller.*, member.role, c.*
         from caller
         left join member on member.account_id = caller.account_id and member.workspace_id = {workspace}
         left join lateral (
             select c.id, c.name, c.space_id, space.quantisation, space.connection_id,
                 case when second.state in ('running', 'ready') then second.space_id end as second_space_id,
                 second.space_id as partial_space_id,
                 exists (
                     select from target t
                     where t.workspace_id = c.workspace_id and t.collection_id = c.id and t.superseded_at is not null)
                     as has_superseded
             from collection c
             left join embedding_space space on space.id = c.space_id
             left join second_space second on second.workspace_id = c.workspace_id and second.collection_id = c.id
             where c.workspace_id = {workspace} and c.deleted_at is null) c on member.role is not null
         order by c.name"
    );
    let rows = conn.query_all_raw(access).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let access = Access::from_query_result(first, "")?;
    let mut collections = Vec::with_capacity(rows.len());
    for row in &rows {
        if row.try_get::<Option<CollectionId>>("", "id")?.is_some() {
            collections.push(CollectionSpace::from_query_result(row, "")?);
        }
    }
    Ok(Some((access, collections)))
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

#[cfg(all(test, feature = "testing"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use super::*;
    use crate::{
        id::{SessionId, SpaceId, TokenId},
        store::{self, TransactionTrait, collection::NewCollection},
        testing::TestDeployment,
    };

    #[tokio::test]
    async fn access_with_collections_is_what_the_separate_statements_read() {
        let deployment = TestDeployment::new().await;
        let db = store::connect(&deployment.config(&[]).database).await.unwrap();
        let (workspace, empty, foreign) = (WorkspaceId::new(), WorkspaceId::new(), WorkspaceId::new());
        let (account, session, token, space) = (AccountId::new(), SessionId::new(), TokenId::new(), SpaceId::new());
        db.execute_unprepared(&format!(
            "insert into workspace (id, name) values ('{workspace}', 'x'), ('{empty}', 'x'), ('{foreign}', 'x');
             insert into account (id, email, display_name, password_hash) values ('{account}', 'ada@example.org', 'Ada', 'x');
             insert into session (id, account_id, expires_at) values ('{session}', '{account}', now() + interval '1 day');
             insert into api_token (id, account_id, name, hash, hint, permissions, workspaces, expires_at)
             values ('{token}', '{account}', 'x', decode(repeat('07', 32), 'hex'), 'x', array['search'], array['{workspace}'::uuid],
                 now() + interval '1 day')"
        ))
        .await
        .unwrap();
        let tx = db.begin().await.unwrap();
        for workspace in [workspace, empty] {
            insert(&tx, workspace, account, Role::Guest).await.unwrap();
        }
        for (workspace, name) in [(workspace, "tides"), (workspace, "ebb"), (workspace, "old"), (foreign, "tides")] {
            let new = NewCollection { name, description: "", space: None, max_chunks: None };
            let id = store::collection::insert(&tx, workspace, &new).await.unwrap().unwrap();
            if name == "old" {
                assert!(store::collection::delete(&tx, workspace, id).await.unwrap());
            }
        }
        tx.commit().await.unwrap();
        db.execute_unprepared(&format!(
            "insert into embedding_space (id, provider, model, dimensions, query_prefix, passage_prefix)
             values ('{space}', 'test', 'test', 8, '', '');
             insert into second_space (workspace_id, collection_id, space_id, state)
             select workspace_id, id, '{space}', case name when 'ebb' then 'ready' else 'paused' end from collection
             where workspace_id = '{workspace}'"
        ))
        .await
        .unwrap();
        for credential in [Credential::Session { account, session }, Credential::Token([7; 32])] {
            for (workspace, names) in [(workspace, &["ebb", "tides"][..]), (empty, &[]), (foreign, &[])] {
                let (found, collections) = access_with_collections(&db, workspace, &credential).await.unwrap().unwrap();
                let alone = access(&db, workspace, &credential).await.unwrap().unwrap();
                assert_eq!((found.account, found.state, found.role), (alone.account, alone.state, alone.role));
                assert_eq!(found.auth_method, alone.auth_method);
                assert_eq!(collections.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), names);
                if found.role.is_some() {
                    assert_eq!(collections, store::collection::spaces(&db, workspace).await.unwrap());
                }
            }
        }
        db.execute_unprepared(&format!(
            "delete from member where workspace_id = '{workspace}'; update account set state = 'suspended'"
        ))
        .await
        .unwrap();
        for credential in [Credential::Session { account, session }, Credential::Token([7; 32])] {
            let (found, collections) = access_with_collections(&db, workspace, &credential).await.unwrap().unwrap();
            assert_eq!((found.state, found.role, collections), (AccountState::Suspended, None, Vec::new()));
        }
        db.execute_unprepared("update session set expires_at = now(); update api_token set expires_at = now()")
            .await
            .unwrap();
        for credential in [Credential::Session { account, session }, Credential::Token([7; 32])] {
            assert!(access_with_collections(&db, workspace, &credential).await.unwrap().is_none());
        }
        db.close().await.unwrap();
        deployment.close().await;
    }
}
