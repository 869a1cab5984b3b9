//! Sessions of signed-in accounts, and the refresh tokens that extend them.
//!
//! The statement that authorises a request reads the session's row, so deleting the row ends the session at the next request.

use std::time::Duration;

use sea_orm::FromQueryResult;

use super::{Conn, Error, Result, Tx, sql};
use crate::{
    domain::account::AccountState,
    entity::session::Model,
    id::{AccountId, SessionId},
};

/// The client of a request, as far as the request identifies it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionDevice<'a> {
    /// At most 255 characters.
    pub user_agent: Option<&'a str>,
    /// The client's IP address.
    pub address: Option<&'a str>,
}

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct SessionLifetime {
    /// Without a refresh.
    pub idle: Duration,
    /// With refreshes, from the start of the session.
    pub max: Duration,
}

/// Adds a session with its first refresh token.
pub async fn insert(
    tx: &Tx,
    id: SessionId,
    account: AccountId,
    device: SessionDevice<'_>,
    lifetime: SessionLifetime,
    refresh: &[u8; 32],
) -> Result<()> {
    sql::execute(
        tx,
        "with session as (
             insert into session (id, account_id, user_agent, address, expires_at)
             values ($1, $2, $3, $4, now() + make_interval(secs => least($5, $6)))
             returning id)
         insert into refresh_token (hash, session_id) select $7, id from session",
        [
            id.into(),
            account.into(),
            device.user_agent.into(),
            device.address.into(),
            lifetime.idle.as_secs_f64().into(),
            lifetime.max.as_secs_f64().into(),
            refresh.to_vec().into(),
        ],
    )
    .await?;
    Ok(())
}

/// The session of a refresh token, and the token's status.
#[derive(Clone, Copy, Debug)]
pub struct RefreshedSession {
    /// The session, locked.
    pub session: SessionId,
    /// The session's account.
    pub account: AccountId,
    /// The state of the account.
    pub state: AccountState,
    /// The status of the token.
    pub token_status: RefreshTokenStatus,
}

/// The status of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshTokenStatus {
    /// The newest token of its session.
    Current,
    /// The same device used the token this long ago and has not used its successor: it may have lost the response.
    Retried(Duration),
    /// The successor was used, or another device sent the token: it was copied.
    Reused,
}

/// Locks the session of the refresh token with this hash. `successor` is the hash of the token that follows.
/// `None`: there is no such token, or its session has expired.
pub async fn lock_by_refresh_token(
    tx: &Tx,
    device: SessionDevice<'_>,
    token: &[u8; 32],
    successor: &[u8; 32],
) -> Result<Option<RefreshedSession>> {
    #[derive(FromQueryResult)]
    struct Session {
        id: SessionId,
        account_id: AccountId,
        state: AccountState,
        user_agent: Option<String>,
        address: Option<String>,
    }
    #[derive(FromQueryResult)]
    struct Token {
        age: Option<f64>,
        successor_unused: bool,
    }
    let session: Option<Session> = sql::first(
        tx,
        "select session.id, account_id, state, user_agent, address from session join account on account.id = account_id
         where session.id = (select session_id from refresh_token where hash = $1) and expires_at > now()
         for update of session",
        [token.to_vec().into()],
    )
    .await?;
    let Some(session) = session else { return Ok(None) };
    let same_device = device.user_agent.is_some() && session.user_agent.as_deref() == device.user_agent
        || device.address.is_some() && session.address.as_deref() == device.address;
    // A separate statement: it sees what the previous holder of the lock has committed.
    let token: Option<Token> = sql::first(
        tx,
        "select extract(epoch from clock_timestamp() - used_at)::float8 as age,
             exists (select from refresh_token next where next.hash = $2 and next.used_at is null) as successor_unused
         from refresh_token where hash = $1",
        [token.to_vec().into(), successor.to_vec().into()],
    )
    .await?;
    let token = token.ok_or(Error::RecordNotFound("a refresh token of a locked session".to_owned()))?;
    let token_status = match token.age {
        None => RefreshTokenStatus::Current,
        Some(age) if token.successor_unused && same_device => {
            RefreshTokenStatus::Retried(Duration::try_from_secs_f64(age).unwrap_or(Duration::ZERO))
        }
        Some(_) => RefreshTokenStatus::Reused,
    };
    Ok(Some(RefreshedSession { session: session.id, account: session.account_id, state: session.state, token_status }))
}

/// Replaces a refresh token with its successor and extends the session.
pub async fn rotate(
    tx: &Tx,
    session: SessionId,
    device: SessionDevice<'_>,
    lifetime: SessionLifetime,
    token: &[u8; 32],
    successor: &[u8; 32],
) -> Result<()> {
    sql::execute(
        tx,
        "with used as (update refresh_token set used_at = clock_timestamp() where hash = $1),
              next as (insert into refresh_token (hash, session_id) values ($2, $3))
         update session set last_used_at = now(), user_agent = coalesce($4, user_agent), address = coalesce($5, address),
             expires_at = least(now() + make_interval(secs => $6), created_at + make_interval(secs => $7))
         where id = $3",
        [
            token.to_vec().into(),
            successor.to_vec().into(),
            session.into(),
            device.user_agent.into(),
            device.address.into(),
            lifetime.idle.as_secs_f64().into(),
            lifetime.max.as_secs_f64().into(),
        ],
    )
    .await?;
    Ok(())
}

/// Locks an account and one of its sessions until the transaction ends, so that the account's objects can be counted.
/// `false`: the session has ended.
pub async fn lock(tx: &Tx, account: AccountId, session: SessionId) -> Result<bool> {
    // The account first, in the lock order of a password change, which ends the sessions.
    sql::execute(tx, "select from account where id = $1 for no key update", [account.into()]).await?;
    let rows = sql::execute(
        tx,
        "select from session where account_id = $1 and id = $2 and expires_at > now() for key share",
        [account.into(), session.into()],
    )
    .await?;
    Ok(rows == 1)
}

/// Ends a session. `false`: the account has no such session.
pub async fn end(tx: &Tx, account: AccountId, session: SessionId) -> Result<bool> {
    let rows =
        sql::execute(tx, "delete from session where account_id = $1 and id = $2", [account.into(), session.into()])
            .await?;
    Ok(rows == 1)
}

/// Ends all sessions of an account, or all but one; returns the number.
pub async fn end_all(tx: &Tx, account: AccountId, except: Option<SessionId>) -> Result<u64> {
    sql::execute(
        tx,
        "delete from session where account_id = $1 and id is distinct from $2",
        [account.into(), except.into()],
    )
    .await
}

/// The account's unexpired sessions before `before`, newest first, at most `limit`.
pub async fn list(conn: &impl Conn, account: AccountId, before: Option<SessionId>, limit: i64) -> Result<Vec<Model>> {
    sql::all(
        conn,
        "select * from session where account_id = $1 and ($2::uuid is null or id < $2) and expires_at > now()
         order by id desc limit $3",
        [account.into(), before.into(), limit.into()],
    )
    .await
}

/// Whether an active account has a session from this network: an IPv4 address with `/32`, or an IPv6 `/64`, as in the
/// index `session_by_network`.
pub async fn has_session_from_network(conn: &impl Conn, network: &str) -> Result<bool> {
    let rows = sql::execute(
        conn,
        "select from session join account on account.id = account_id
         where network(set_masklen(address::inet, case family(address::inet) when 4 then 32 else 64 end)) = $1::cidr
             and expires_at > now() and state = 'active' and erase_at is null
         limit 1",
        [network.into()],
    )
    .await?;
    Ok(rows > 0)
}

/// Deletes expired sessions.
pub async fn delete_expired(conn: &impl Conn) -> Result<u64> {
    sql::execute(conn, "delete from session where expires_at < now()", []).await
}
