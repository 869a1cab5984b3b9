//! What a request is authorised by, and whose it is: asked in one statement, each time.

use sea_orm::{FromQueryResult, QueryResult};
use uuid::Uuid;

use super::{Conn, Result, sql};
use crate::{
    domain::role::Permission,
    entity::account::Model as Account,
    id::{AccountId, SessionId, TokenId, WorkspaceId},
};

/// What a request carries, checked as far as that goes without the database.
#[derive(Clone, Copy, Debug)]
pub enum Credential {
    /// A signed access token of a session.
    Session {
        /// Whose.
        account: AccountId,
        /// Which.
        session: SessionId,
    },
    /// The hash of an API token.
    Token([u8; 32]),
}

/// By what an account acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// Somebody who is signed in.
    Session(SessionId),
    /// A program.
    Token(TokenId, Scope),
}

/// What an API token is good for, at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Names of permissions.
    pub permissions: Vec<String>,
    /// Where; `None`: everywhere.
    pub workspaces: Option<Vec<WorkspaceId>>,
}

impl Scope {
    /// Whether the permission is among them.
    #[must_use]
    pub fn allows(&self, permission: Permission) -> bool {
        self.permissions.iter().any(|granted| granted == permission.name())
    }
}

impl FromQueryResult for Means {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self> {
        if let Some(session) = row.try_get(prefix, "session_id")? {
            return Ok(Self::Session(session));
        }
        let workspaces: Option<Vec<Uuid>> = row.try_get(prefix, "workspaces")?;
        let scope = Scope {
            permissions: row.try_get(prefix, "permissions")?,
            workspaces: workspaces.map(|ids| ids.into_iter().map(WorkspaceId).collect()),
        };
        Ok(Self::Token(row.try_get(prefix, "token_id")?, scope))
    }
}

/// An account, and by what it acts.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub account: Account,
    /// By what.
    pub means: Means,
}

impl FromQueryResult for Caller {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self> {
        Ok(Self { account: Account::from_query_result(row, prefix)?, means: Means::from_query_result(row, prefix)? })
    }
}

/// Whose credential it is, if it is good.
pub async fn caller(conn: &impl Conn, credential: &Credential) -> Result<Option<Caller>> {
    match credential {
        Credential::Session { account, session } => {
            sql::first(
                conn,
                "select account.*, session.id as session_id
                 from session join account on account.id = session.account_id
                 where account.id = $1 and session.id = $2 and session.expires_at > now()",
                [(*account).into(), (*session).into()],
            )
            .await
        }
        Credential::Token(hash) => {
            sql::first(
                conn,
                "select account.*, null::uuid as session_id, token.id as token_id, token.permissions, token.workspaces
                 from api_token token join account on account.id = token.account_id
                 where token.hash = $1 and token.expires_at > now() and account.erase_at is null",
                [hash.to_vec().into()],
            )
            .await
        }
    }
}
