//! Sessions: where people are signed in, and the refresh tokens that keep them so.
//!
//! A session is asked for in the statement that authorises a request, so removing its row ends it at the next one.

use std::time::Duration;

use sea_orm::FromQueryResult;

use super::{Conn, Error, Result, Tx, sql};
use crate::{
    domain::account::AccountState,
    entity::session::Model,
    id::{AccountId, SessionId},
};

/// Where a request came from, as far as it says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Device<'a> {
    /// At most 255 characters.
    pub user_agent: Option<&'a str>,
    /// The address of the other end.
    pub address: Option<&'a str>,
}

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// Without a refresh.
    pub idle: Duration,
    /// In any case.
    pub longest: Duration,
}

/// Adds a session with its first refresh token.
pub async fn insert(
    tx: &Tx,
    id: SessionId,
    account: AccountId,
    device: Device<'_>,
    life: Life,
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
            life.idle.as_secs_f64().into(),
            life.longest.as_secs_f64().into(),
            refresh.to_vec().into(),
        ],
    )
    .await?;
    Ok(())
}

/// A refresh token that somebody presented, and the session it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Presented {
    /// The session, locked.
    pub session: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// Whether the account may do anything at all.
    pub state: AccountState,
    /// What became of the token.
    pub standing: Standing,
}

/// What became of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the newest of its session.
    Newest,
    /// It was used this long ago, by a device like the one that presents it, and its successor has not been used.
    JustUsed(Duration),
    /// Its successor was used, or it comes from elsewhere: whoever presents it again has a copy.
    Spent,
}

/// The token with this hash, of a session that lasts; the session is locked. `successor` is the hash of what follows.
pub async fn present(tx: &Tx, device: Device<'_>, token: &[u8; 32], successor: &[u8; 32]) -> Result<Option<Presented>> {
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
    // A statement of its own: it sees what was committed by whom the lock was waited for.
    let token: Option<Token> = sql::first(
        tx,
        "select extract(epoch from clock_timestamp() - used_at)::float8 as age,
             exists (select from refresh_token next where next.hash = $2 and next.used_at is null) as successor_unused
         from refresh_token where hash = $1",
        [token.to_vec().into(), successor.to_vec().into()],
    )
    .await?;
    let token = token.ok_or(Error::RecordNotFound("a refresh token of a locked session".to_owned()))?;
    let standing = match token.age {
        None => Standing::Newest,
        Some(age) if token.successor_unused && same_device => {
            Standing::JustUsed(Duration::try_from_secs_f64(age).unwrap_or(Duration::ZERO))
        }
        Some(_) => Standing::Spent,
    };
    Ok(Some(Presented { session: session.id, account: session.account_id, state: session.state, standing }))
}

/// Puts the next refresh token in the place of one that was presented, and lets the session last on.
pub async fn rotate(
    tx: &Tx,
    session: SessionId,
    device: Device<'_>,
    life: Life,
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
            life.idle.as_secs_f64().into(),
            life.longest.as_secs_f64().into(),
        ],
    )
    .await?;
    Ok(())
}

/// Locks an account and one of its sessions for the rest of the transaction: what the account has can be counted.
/// `false`: the session is over.
pub async fn lock(tx: &Tx, account: AccountId, session: SessionId) -> Result<bool> {
    // The account first, as whoever changes the password and ends the sessions does.
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

/// Ends all sessions of an account, or all but one; says how many.
pub async fn end_all(tx: &Tx, account: AccountId, except: Option<SessionId>) -> Result<u64> {
    sql::execute(
        tx,
        "delete from session where account_id = $1 and id is distinct from $2",
        [account.into(), except.into()],
    )
    .await
}

/// The account's sessions that last, newest first: at most `limit`, those older than `before`.
pub async fn of_account(
    conn: &impl Conn,
    account: AccountId,
    before: Option<SessionId>,
    limit: i64,
) -> Result<Vec<Model>> {
    sql::all(
        conn,
        "select * from session where account_id = $1 and ($2::uuid is null or id < $2) and expires_at > now()
         order by id desc limit $3",
        [account.into(), before.into(), limit.into()],
    )
    .await
}

/// Whether any account has a session from this network, written as the index `session_by_network` has it: an IPv4 `/32` or an
/// IPv6 `/64`.
pub async fn is_home(conn: &impl Conn, network: &str) -> Result<bool> {
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

/// Removes sessions that are over.
pub async fn forget_expired(conn: &impl Conn) -> Result<u64> {
    sql::execute(conn, "delete from session where expires_at < now()", []).await
}
