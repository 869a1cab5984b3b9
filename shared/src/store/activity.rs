//! The activity log: one chain of entries for each workspace, and one for events of accounts.
//!
//! The database rejects changes and deletions of entries, and each entry has a MAC over itself and the MAC before it under
//! a key that the database does not have. An entry names accounts and objects by id only, and stores the IP address sealed
//! under a key that is derived with a salt from the account's row: after an account is erased its entries stay, but they
//! identify neither the person nor the address.

mod check;
mod read;

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

pub use check::{ChainBreak, ChainCheck, chains, check, mac_at};
use chrono::{DateTime, SubsecRound, Utc};
pub use read::{ActivityFilter, SeqRange, find_seq, list};
use sea_orm::{FromQueryResult, QueryResult, raw_sql};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Conn, Error, Result, Tx, sql};
use crate::{
    clock,
    crypt::{
        DerivedKey,
        audit_mac::{AuditKeys, ChainMac},
        ip_address,
    },
    domain::activity::{Action, Actor},
    entity::activity::Model,
    id::{ActivityId, WorkspaceId},
};

/// The chain of entries about accounts.
pub const ACCOUNT_CHAIN: WorkspaceId = WorkspaceId(Uuid::nil());

/// The actor of an entry, and the request through which it acted.
#[derive(Clone, Debug)]
pub struct ActorContext {
    /// The actor.
    pub actor: Actor,
    /// The request's id; `None` outside a request.
    pub request_id: Option<String>,
    /// The client's IP address.
    pub address: Option<IpAddr>,
}

impl ActorContext {
    /// Nvisy itself, outside any request.
    #[must_use]
    pub const fn system() -> Self {
        Self { actor: Actor::System, request_id: None, address: None }
    }
}

/// An entry to be added: an action and its object.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    action: Action,
    object: Uuid,
    details: Json,
}

impl AuditEntry {
    /// `details` is small and contains no name, no address and no document text.
    pub fn new(action: Action, object: impl Into<Uuid>, details: Json) -> Self {
        Self { action, object: object.into(), details }
    }
}

/// Adds entries to the chain of a workspace, or to [`ACCOUNT_CHAIN`]. The chain stays locked until the transaction ends;
/// [`super::change::Change`] calls this last.
pub(super) async fn append(
    tx: &Tx,
    keys: &AuditKeys,
    chain: WorkspaceId,
    entries: &[(&ActorContext, &AuditEntry)],
) -> Result<()> {
    // The account whose key seals the address: the actor's or, before authentication, the one named by the request.
    let address_owner =
        |context: &ActorContext, entry: &AuditEntry| context.actor.account().map_or(entry.object, |account| account.0);
    let entries: Vec<_> =
        entries.iter().map(|(context, entry)| (*context, *entry, address_owner(context, entry))).collect();
    if entries.is_empty() {
        return Ok(());
    }
    let lock = lock(tx, chain, entries.iter().map(|(_, _, owner)| *owner).collect()).await?;
    let address_keys: HashMap<Uuid, DerivedKey> =
        lock.address_salts.into_iter().map(|(account, salt)| (account, keys.address_key(salt))).collect();
    let mac_key = keys.chain(chain);
    // PostgreSQL's precision: the MAC is computed again over the time that is read back.
    let created_at = clock::now().trunc_subsecs(6);
    let (mut seq, mut mac) = (lock.head.seq, lock.head.mac()?);
    let mut rows = Vec::with_capacity(entries.len());
    for (context, entry, address_owner) in entries {
        seq += 1;
        let id = ActivityId::new();
        let address_sealed = context
            .address
            .zip(address_keys.get(&address_owner))
            .map(|(address, key)| ip_address::seal(key, id.0, address));
        let mut row = Model {
            chain: chain.0,
            seq,
            id,
            created_at,
            actor: context.actor.kind().to_owned(),
            account_id: context.actor.account(),
            token_id: context.actor.token(),
            action: entry.action.name().to_owned(),
            object_kind: entry.action.object_kind().to_owned(),
            object_id: entry.object,
            request_id: context.request_id.clone().filter(|id| !id.is_empty()),
            address: context.address.filter(|_| address_sealed.is_none()).map(ip_address::network),
            details: entry.details.to_string(),
            mac: Vec::new(),
            address_sealed,
        };
        mac = mac_key.mac(&mac, &mac_input(&row));
        row.mac = mac.to_vec();
        rows.push(row);
    }
    insert(tx, chain, created_at, &rows).await
}

/// The sequence number and MAC of a chain's last entry.
#[derive(FromQueryResult)]
struct ChainHead {
    seq: i64,
    mac: Vec<u8>,
}

impl ChainHead {
    fn mac(&self) -> Result<ChainMac> {
        self.mac.as_slice().try_into().map_err(|_| Error::Custom("a MAC has 32 bytes".to_owned()))
    }
}

/// A chain that is locked until the transaction ends.
struct ChainLock {
    head: ChainHead,
    /// The salts of address keys by account; accounts that do not exist are absent.
    address_salts: Vec<(Uuid, Uuid)>,
}

impl FromQueryResult for ChainLock {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self> {
        let accounts: Vec<Uuid> = row.try_get(prefix, "accounts")?;
        let salts: Vec<Uuid> = row.try_get(prefix, "salts")?;
        Ok(Self {
            head: ChainHead::from_query_result(row, prefix)?,
            address_salts: accounts.into_iter().zip(salts).collect(),
        })
    }
}

async fn lock(tx: &Tx, chain: WorkspaceId, accounts: HashSet<Uuid>) -> Result<ChainLock> {
    let accounts: Vec<Uuid> = accounts.into_iter().collect();
    let find = || {
        raw_sql!(
            Postgres,
            "select seq, mac, accounts, salts
             from activity_chain
             cross join (
                 select coalesce(array_agg(id), '{}') as accounts, coalesce(array_agg(address_salt), '{}') as salts
                 from account where id = any({accounts})) account
             where chain = {chain} for update of activity_chain"
        )
    };
    if let Some(lock) = sql::first(tx, find()).await? {
        return Ok(lock);
    }
    // The chain's first entry. Transactions that insert the head at the same time wait for each other here.
    let head = raw_sql!(
        Postgres,
        "insert into activity_chain (chain, seq, mac) values ({chain}, 0, decode(repeat('00', 32), 'hex'))
         on conflict (chain) do nothing"
    );
    sql::execute(tx, head).await?;
    sql::first(tx, find()).await?.ok_or(Error::RecordNotInserted)
}

/// Binds absent optional values as empty text.
async fn insert(tx: &Tx, chain: WorkspaceId, created_at: DateTime<Utc>, rows: &[Model]) -> Result<()> {
    let Some(last) = rows.last() else { return Ok(()) };
    let column = |value: fn(&Model) -> String| rows.iter().map(value).collect::<Vec<String>>();
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    let ids: Vec<ActivityId> = rows.iter().map(|row| row.id).collect();
    let actors = column(|row| row.actor.clone());
    let accounts = column(|row| row.account_id.map(|id| id.to_string()).unwrap_or_default());
    let tokens = column(|row| row.token_id.map(|id| id.to_string()).unwrap_or_default());
    let requests = column(|row| row.request_id.clone().unwrap_or_default());
    let actions = column(|row| row.action.clone());
    let object_kinds = column(|row| row.object_kind.clone());
    let objects: Vec<Uuid> = rows.iter().map(|row| row.object_id).collect();
    let details = column(|row| row.details.clone());
    let macs = column(|row| hex::encode(&row.mac));
    let addresses = column(|row| row.address.clone().unwrap_or_default());
    let sealed = column(|row| row.address_sealed.as_ref().map(hex::encode).unwrap_or_default());
    let entries = raw_sql!(
        Postgres,
        "with entry as (
             insert into activity (chain, seq, id, created_at, actor, account_id, token_id, action, object_kind, object_id,
                 request_id, address, details, mac, address_sealed)
             select {chain}, seq, id, {created_at}, actor, nullif(account, '')::uuid, nullif(token, '')::uuid, action,
                 object_kind, object_id, nullif(request, ''), nullif(address, ''), details, decode(mac, 'hex'),
                 decode(nullif(address_sealed, ''), 'hex')
             from unnest({seqs}::bigint[], {ids}::uuid[], {actors}::text[], {accounts}::text[], {tokens}::text[],
                     {requests}::text[], {actions}::text[], {object_kinds}::text[], {objects}::uuid[],
                     {details}::text[], {macs}::text[], {addresses}::text[], {sealed}::text[])
                 new (seq, id, actor, account, token, request, action, object_kind, object_id, details, mac, address,
                     address_sealed))
         update activity_chain set seq = {last.seq}, mac = {last.mac} where chain = {chain}"
    );
    sql::execute(tx, entries).await?;
    Ok(())
}

/// The bytes of an entry that its MAC covers: a JSON list, so that different entries never have the same bytes.
fn mac_input(entry: &Model) -> Vec<u8> {
    let fields = (
        (entry.chain, entry.seq, entry.id, entry.created_at.timestamp_micros()),
        (&entry.actor, entry.account_id, entry.token_id),
        (&entry.action, &entry.object_kind, entry.object_id),
        (&entry.request_id, &entry.address, entry.address_sealed.as_ref().map(hex::encode), &entry.details),
    );
    serde_json::to_vec(&fields).expect("ids, numbers and texts can be written")
}

/// The sequence number of a chain's last entry; 0 when the chain is empty.
pub async fn last_seq(conn: &impl Conn, chain: WorkspaceId) -> Result<i64> {
    Ok(head(conn, chain).await?.map_or(0, |head| head.seq))
}

async fn head(conn: &impl Conn, chain: WorkspaceId) -> Result<Option<ChainHead>> {
    sql::first(conn, raw_sql!(Postgres, "select seq, mac from activity_chain where chain = {chain}")).await
}
