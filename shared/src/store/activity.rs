//! The activity log: one chain of entries for each workspace, and one for events of accounts.
//!
//! The database rejects changes and deletions of entries, and each entry has a MAC over itself and the MAC before it under
//! a key that the database does not have. An entry names accounts and objects by id only, and stores the IP address sealed
//! under a key that is derived with a salt from the account's row: after an account is erased its entries stay, but they
//! identify neither the person nor the address.

mod check;

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

pub use check::{ChainBreak, ChainCheck, chains, check, mac_at};
use chrono::{DateTime, SubsecRound, Utc};
use sea_orm::{FromQueryResult, QueryResult, Value};
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
    id::{AccountId, ActivityId, WorkspaceId},
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

/// Adds entries to the chain of a workspace, or to [`ACCOUNT_CHAIN`].
///
/// The chain stays locked until the transaction ends, so call this after the transaction's other writes. To avoid
/// deadlocks, every transaction takes locks in this order: counters of a workspace, its activity chain, its events.
pub async fn append(
    tx: &Tx,
    keys: &AuditKeys,
    chain: WorkspaceId,
    context: &ActorContext,
    entries: &[AuditEntry],
) -> Result<()> {
    let entries: Vec<_> = entries.iter().map(|entry| (context, entry)).collect();
    append_with_contexts(tx, keys, chain, &entries).await
}

/// Like [`append`], with a context for each entry.
pub async fn append_with_contexts(
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
    let find = "select seq, mac, accounts, salts
         from activity_chain
         cross join (
             select coalesce(array_agg(id), '{}') as accounts, coalesce(array_agg(address_salt), '{}') as salts
             from account where id = any($2)) account
         where chain = $1 for update of activity_chain";
    let accounts: Vec<Uuid> = accounts.into_iter().collect();
    let values = || [chain.into(), accounts.clone().into()];
    if let Some(lock) = sql::first(tx, find, values()).await? {
        return Ok(lock);
    }
    // The chain's first entry. Transactions that insert the head at the same time wait for each other here.
    sql::execute(
        tx,
        "insert into activity_chain (chain, seq, mac) values ($1, 0, decode(repeat('00', 32), 'hex'))
         on conflict (chain) do nothing",
        [chain.into()],
    )
    .await?;
    sql::first(tx, find, values()).await?.ok_or(Error::RecordNotInserted)
}

/// Binds absent optional values as empty text.
async fn insert(tx: &Tx, chain: WorkspaceId, created_at: DateTime<Utc>, rows: &[Model]) -> Result<()> {
    let column = |value: fn(&Model) -> String| rows.iter().map(value).collect::<Vec<String>>();
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id.0).collect();
    let objects: Vec<Uuid> = rows.iter().map(|row| row.object_id).collect();
    let last = rows.last().map(|row| (row.seq, row.mac.clone())).unzip();
    sql::execute(
        tx,
        "with entry as (
             insert into activity (chain, seq, id, created_at, actor, account_id, token_id, action, object_kind, object_id,
                 request_id, address, details, mac, address_sealed)
             select $1, seq, id, $2, actor, nullif(account, '')::uuid, nullif(token, '')::uuid, action, object_kind, object_id,
                 nullif(request, ''), nullif(address, ''), details, decode(mac, 'hex'),
                 decode(nullif(address_sealed, ''), 'hex')
             from unnest($3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                     $11::uuid[], $12::text[], $13::text[], $14::text[], $15::text[])
                 new (seq, id, actor, account, token, request, action, object_kind, object_id, details, mac, address,
                     address_sealed))
         update activity_chain set seq = $16, mac = $17 where chain = $1",
        [
            chain.into(),
            created_at.into(),
            seqs.into(),
            ids.into(),
            column(|row| row.actor.clone()).into(),
            column(|row| row.account_id.map(|id| id.to_string()).unwrap_or_default()).into(),
            column(|row| row.token_id.map(|id| id.to_string()).unwrap_or_default()).into(),
            column(|row| row.request_id.clone().unwrap_or_default()).into(),
            column(|row| row.action.clone()).into(),
            column(|row| row.object_kind.clone()).into(),
            objects.into(),
            column(|row| row.details.clone()).into(),
            column(|row| hex::encode(&row.mac)).into(),
            column(|row| row.address.clone().unwrap_or_default()).into(),
            column(|row| row.address_sealed.as_ref().map(hex::encode).unwrap_or_default()).into(),
            last.0.into(),
            last.1.into(),
        ],
    )
    .await?;
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

/// Conditions on entries; all that are set must hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct ActivityFilter {
    /// By this account or its tokens.
    pub account: Option<AccountId>,
    /// In the account chain: by this account or, by others, to this account.
    pub about: Option<AccountId>,
    /// With this action.
    pub action: Option<Action>,
    /// From this time on.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
}

/// A range of sequence numbers, and its order.
#[derive(Clone, Copy, Debug)]
pub enum SeqRange {
    /// Newest first: entries before this one.
    Before(i64),
    /// Oldest first: entries after the first number, up to and including the second.
    Between(i64, i64),
}

/// Up to `limit` entries of a chain that match the filter; addresses of accounts that still exist are unsealed.
pub async fn list(
    conn: &impl Conn,
    keys: &AuditKeys,
    chain: WorkspaceId,
    filter: &ActivityFilter,
    range: SeqRange,
    limit: i64,
) -> Result<Vec<Model>> {
    let stored = read(conn, chain, filter, range, limit).await?;
    Ok(stored.into_iter().map(|stored| stored.with_address(keys)).collect())
}

/// An entry, and the salt of its address key while the account exists.
struct StoredEntry {
    row: Model,
    address_salt: Option<Uuid>,
}

impl FromQueryResult for StoredEntry {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self> {
        Ok(Self { row: Model::from_query_result(row, prefix)?, address_salt: row.try_get(prefix, "address_salt")? })
    }
}

impl StoredEntry {
    fn with_address(self, keys: &AuditKeys) -> Model {
        let Self { mut row, address_salt } = self;
        if let Some((salt, sealed)) = address_salt.zip(row.address_sealed.as_ref()) {
            let address = ip_address::open(&keys.address_key(salt), row.id.0, sealed);
            // An address that does not open was tampered with; `check` reports the entry.
            row.address = address.ok().map(|address| address.to_string());
        }
        row
    }
}

async fn read(
    conn: &impl Conn,
    chain: WorkspaceId,
    filter: &ActivityFilter,
    range: SeqRange,
    limit: i64,
) -> Result<Vec<StoredEntry>> {
    let mut conditions = String::new();
    let mut values: Vec<Value> = vec![chain.into()];
    // Absent conditions are left out of the statement, so that the planner picks the matching index.
    let mut add = |condition: &str, value: Value| {
        values.push(value);
        conditions.push_str(&format!(" and {condition} ${}", values.len()));
    };
    if let Some(account) = filter.account {
        add("account_id =", account.into());
    }
    if let Some(action) = filter.action {
        add("action =", action.name().into());
    }
    if let Some(since) = filter.since {
        add("created_at >=", since.into());
    }
    if let Some(until) = filter.until {
        add("created_at <", until.into());
    }
    let order = match range {
        SeqRange::Before(seq) => {
            add("seq <", seq.into());
            "desc"
        }
        SeqRange::Between(after, last) => {
            add("seq >", after.into());
            add("seq <=", last.into());
            "asc"
        }
    };
    values.push(limit.into());
    let end = format!("order by seq {order} limit ${}", values.len());
    let Some(about) = filter.about else {
        return sql::all(
            conn,
            &with_salts(&format!("select * from activity where chain = $1{conditions} {end}"), order),
            values,
        )
        .await;
    };
    values.push(about.into());
    let account = values.len();
    // Each half reads along its own index, regardless of how long the account chain is.
    let own = format!("select * from activity where chain = $1 and account_id = ${account}{conditions} {end}");
    let others = format!(
        "select * from activity where {} and account_id is distinct from ${account}{conditions} {end}",
        in_account_chain(&format!("object_id = ${account}"))
    );
    let both = format!("select * from (({own}) union all ({others})) entry {end}");
    sql::all(conn, &with_salts(&both, order), values).await
}

/// Adds the salts of address keys to a query for entries.
fn with_salts(entries: &str, order: &str) -> String {
    format!(
        "select entry.*, (select account.address_salt from account
             where account.id = coalesce(entry.account_id, entry.object_id)) as address_salt
         from ({entries}) entry order by entry.seq {order}"
    )
}

/// A condition on the account chain. The chain is a literal, because the indexes on it are partial.
fn in_account_chain(condition: &str) -> String {
    format!("chain = '{ACCOUNT_CHAIN}' and {condition}")
}

/// The sequence number of an entry in the account chain, if the entry is by or about this account.
pub async fn find_seq(conn: &impl Conn, account: AccountId, entry: ActivityId) -> Result<Option<i64>> {
    #[derive(FromQueryResult)]
    struct Row {
        seq: i64,
    }
    let condition = in_account_chain("id = $1 and (account_id = $2 or object_id = $2)");
    let row: Option<Row> =
        sql::first(conn, &format!("select seq from activity where {condition}"), [entry.into(), account.into()])
            .await?;
    Ok(row.map(|row| row.seq))
}

/// The sequence number of a chain's last entry; 0 when the chain is empty.
pub async fn last_seq(conn: &impl Conn, chain: WorkspaceId) -> Result<i64> {
    Ok(head(conn, chain).await?.map_or(0, |head| head.seq))
}

async fn head(conn: &impl Conn, chain: WorkspaceId) -> Result<Option<ChainHead>> {
    sql::first(conn, "select seq, mac from activity_chain where chain = $1", [chain.into()]).await
}
