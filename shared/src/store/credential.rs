//! Credentials of requests, and the account they belong to, read in one statement for each request.

use sea_orm::{FromQueryResult, QueryResult, raw_sql};
use uuid::Uuid;

use super::{Conn, Result, sql};
use crate::{
    domain::role::Permission,
    entity::account::Model as Account,
    id::{AccountId, SessionId, TokenId, WorkspaceId},
};

/// A request's credential, verified as far as possible without the database.
#[derive(Clone, Copy, Debug)]
pub enum Credential {
    /// A signed access token of a session.
    Session {
        /// The account.
        account: AccountId,
        /// The session.
        session: SessionId,
    },
    /// The hash of an API token.
    Token([u8; 32]),
}

/// How a caller is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// A person's session.
    Session(SessionId),
    /// A program's API token.
    Token(TokenId, TokenScope),
}

/// The upper limit of what an API token may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenScope {
    /// Names of permissions.
    pub permissions: Vec<String>,
    /// The workspaces it is limited to; `None`: all of the account's.
    pub workspaces: Option<Vec<WorkspaceId>>,
}

impl TokenScope {
    /// Whether the scope includes the permission.
    #[must_use]
    pub fn allows(&self, permission: Permission) -> bool {
        self.permissions.iter().any(|granted| granted == permission.name())
    }
}

impl FromQueryResult for AuthMethod {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self> {
        if let Some(session) = row.try_get(prefix, "session_id")? {
            return Ok(Self::Session(session));
        }
        let workspaces: Option<Vec<Uuid>> = row.try_get(prefix, "workspaces")?;
        let scope = TokenScope {
            permissions: row.try_get(prefix, "permissions")?,
            workspaces: workspaces.map(|ids| ids.into_iter().map(WorkspaceId).collect()),
        };
        Ok(Self::Token(row.try_get(prefix, "token_id")?, scope))
    }
}

/// An authenticated account.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account.
    pub account: Account,
    /// How it is authenticated.
    pub auth_method: AuthMethod,
}

impl FromQueryResult for Caller {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self> {
        Ok(Self {
            account: Account::from_query_result(row, prefix)?,
            auth_method: AuthMethod::from_query_result(row, prefix)?,
        })
    }
}

/// The account of a credential; `None` if the credential is not valid.
pub async fn caller(conn: &impl Conn, credential: &Credential) -> Result<Option<Caller>> {
    match *credential {
        Credential::Session { account, session } => {
            let caller = raw_sql!(
                Postgres,
                "select account.*, session.id as session_id
                 from session join account on account.id = session.account_id
                 where account.id = {account} and session.id = {session} and session.expires_at > now()"
            );
            sql::first(conn, caller).await
        }
        Credential::Token(hash) => {
            let hash = hash.as_slice();
            let caller = raw_sql!(
                Postgres,
                "select account.*, null::uuid as session_id, token.id as token_id, token.permissions, token.workspaces
                 from api_token token join account on account.id = token.account_id
                 where token.hash = {hash} and token.expires_at > now() and account.erase_at is null"
            );
            sql::first(conn, caller).await
        }
    }
}
