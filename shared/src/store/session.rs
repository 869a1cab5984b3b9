//! Sessions of signed-in accounts, and the refresh tokens that extend them.
//!
//! The statement that authorises a request reads the session's row, so deleting the row ends the session at the next request.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, QueryTrait, raw_sql,
    sea_query::LockType,
};

use super::{Conn, Error, Result, Tx, sql};
use crate::{
    domain::account::AccountState,
    entity::{
        refresh_token,
        session::{Column, Entity, Model},
    },
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
    let SessionDevice { user_agent, address } = device;
    let lifetime_seconds = lifetime.idle.min(lifetime.max).as_secs_f64();
    let session = raw_sql!(
        Postgres,
        "insert into session (id, account_id, user_agent, address, expires_at)
         values ({id}, {account}, {user_agent}, {address}, now() + make_interval(secs => {lifetime_seconds}))"
    );
    sql::execute(tx, session).await?;
    let token = refresh_token::ActiveModel { hash: Set(refresh.to_vec()), session_id: Set(id), ..Default::default() };
    refresh_token::Entity::insert(token).exec_without_returning(tx).await?;
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
    struct RefreshToken {
        age: Option<f64>,
        successor_unused: bool,
    }
    let hash = token.as_slice();
    let session = raw_sql!(
        Postgres,
        "select session.id, account_id, state, user_agent, address from session join account on account.id = account_id
         where session.id = (select session_id from refresh_token where hash = {hash}) and expires_at > now()
         for update of session"
    );
    let session: Option<Session> = sql::first(tx, session).await?;
    let Some(session) = session else { return Ok(None) };
    let same_device = device.user_agent.is_some() && session.user_agent.as_deref() == device.user_agent
        || device.address.is_some() && session.address.as_deref() == device.address;
    // A separate statement: it sees what the previous holder of the lock has committed.
    let successor = successor.as_slice();
    let status = raw_sql!(
        Postgres,
        "select extract(epoch from clock_timestamp() - used_at)::float8 as age,
             exists (select from refresh_token next where next.hash = {successor} and next.used_at is null)
                 as successor_unused
         from refresh_token where hash = {hash}"
    );
    let token: Option<RefreshToken> = sql::first(tx, status).await?;
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
    let SessionDevice { user_agent, address } = device;
    let (idle_seconds, max_seconds) = (lifetime.idle.as_secs_f64(), lifetime.max.as_secs_f64());
    let (hash, successor) = (token.as_slice(), successor.as_slice());
    let rotated = raw_sql!(
        Postgres,
        "with used as (update refresh_token set used_at = clock_timestamp() where hash = {hash}),
              next as (insert into refresh_token (hash, session_id) values ({successor}, {session}))
         update session set last_used_at = now(), user_agent = coalesce({user_agent}, user_agent),
             address = coalesce({address}, address),
             expires_at = least(now() + make_interval(secs => {idle_seconds}),
                 created_at + make_interval(secs => {max_seconds}))
         where id = {session}"
    );
    sql::execute(tx, rotated).await?;
    Ok(())
}

/// Locks an account and one of its sessions until the transaction ends, so that the account's objects can be counted.
/// `false`: the session has ended.
pub async fn lock(tx: &Tx, account: AccountId, session: SessionId) -> Result<bool> {
    // The account first, in the lock order of a password change, which ends the sessions.
    super::account::lock(tx, account).await?;
    let session = Entity::find_by_id(session)
        .select_only()
        .column(Column::Id)
        .filter(Column::AccountId.eq(account))
        .filter(sql::is_future(Column::ExpiresAt))
        .lock(LockType::KeyShare);
    Ok(session.into_tuple::<SessionId>().one(tx).await?.is_some())
}

/// Ends a session. `false`: the account has no such session.
pub async fn end(tx: &Tx, account: AccountId, session: SessionId) -> Result<bool> {
    let ended = Entity::delete_many().filter(Column::Id.eq(session)).filter(Column::AccountId.eq(account));
    Ok(ended.exec(tx).await?.rows_affected == 1)
}

/// Ends all sessions of an account, or all but one; returns the number.
pub async fn end_all(tx: &Tx, account: AccountId, except: Option<SessionId>) -> Result<u64> {
    let ended = Entity::delete_many()
        .filter(Column::AccountId.eq(account))
        .apply_if(except, |ended, except| ended.filter(Column::Id.ne(except)));
    Ok(ended.exec(tx).await?.rows_affected)
}

/// The account's unexpired sessions before `before`, newest first, at most `limit`.
pub async fn list(conn: &impl Conn, account: AccountId, before: Option<SessionId>, limit: i64) -> Result<Vec<Model>> {
    let select = Entity::find().filter(Column::AccountId.eq(account)).filter(sql::is_future(Column::ExpiresAt));
    sql::newest(select, Column::Id, before, limit).all(conn).await
}

/// Whether an active account has a session from this network: an IPv4 address with `/32`, or an IPv6 `/64`, as in the
/// index `session_by_network`.
pub async fn has_session_from_network(conn: &impl Conn, network: &str) -> Result<bool> {
    let found = raw_sql!(
        Postgres,
        "select from session join account on account.id = account_id
         where network(set_masklen(address::inet, case family(address::inet) when 4 then 32 else 64 end))
                 = {network}::text::cidr
             and expires_at > now() and state = 'active' and erase_at is null
         limit 1"
    );
    Ok(sql::execute(conn, found).await? > 0)
}

/// Deletes expired sessions.
pub async fn delete_expired(conn: &impl Conn) -> Result<u64> {
    Ok(Entity::delete_many().filter(sql::is_past(Column::ExpiresAt)).exec(conn).await?.rows_affected)
}
