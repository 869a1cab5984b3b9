//! The activity log: one chain of entries for each workspace, and one for what concerns accounts.
//!
//! The database refuses to change or remove entries, and each entry is sealed together with the seal before it under a
//! key that the database does not have. An entry names accounts and things by id only, and holds the network address
//! sealed under a key that is made with something of the account's row: when a person is erased, what they did stays, and
//! nobody can tell who it was or from where.

mod check;

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

pub use check::{Broken, Checked, chains, check, seal_at};
use chrono::{DateTime, SubsecRound, Utc};
use sea_orm::{FromQueryResult, QueryResult, Value};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Conn, Error, Result, Tx, sql};
use crate::{
    clock,
    crypt::{
        Key, address,
        seal::{Seal, Seals},
    },
    domain::activity::{Action, Actor},
    entity::activity::Model,
    id::{AccountId, ActivityId, WorkspaceId},
};

/// The chain of what concerns accounts.
pub const ACCOUNTS: WorkspaceId = WorkspaceId(Uuid::nil());

/// Who acts, and through which request.
#[derive(Clone, Debug)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// The request's name; none where there was no request.
    pub request_id: Option<String>,
    /// Where it came from.
    pub address: Option<IpAddr>,
}

impl By {
    /// Nvisy itself, of its own accord.
    #[must_use]
    pub const fn system() -> Self {
        Self { actor: Actor::System, request_id: None, address: None }
    }
}

/// Something that was done.
#[derive(Clone, Debug)]
pub struct Act {
    action: Action,
    object: Uuid,
    details: Json,
}

impl Act {
    /// What was done to what. `details` is small, and holds no name, no address and no piece of a document.
    pub fn new(action: Action, object: impl Into<Uuid>, details: Json) -> Self {
        Self { action, object: object.into(), details }
    }
}

/// Adds entries to the chain of a workspace, or to [`ACCOUNTS`].
///
/// From here to the end of the transaction the chain is locked: write what is to be written first. Locks are taken in
/// this order everywhere, or transactions would wait for each other for ever: counters of a workspace, its activity
/// chain, its events.
pub async fn append(tx: &Tx, seals: &Seals, chain: WorkspaceId, by: &By, acts: &[Act]) -> Result<()> {
    let acts: Vec<_> = acts.iter().map(|act| (by, act)).collect();
    append_each(tx, seals, chain, &acts).await
}

/// As [`append`], of what several have done.
pub async fn append_each(tx: &Tx, seals: &Seals, chain: WorkspaceId, acts: &[(&By, &Act)]) -> Result<()> {
    // Whose address it is: where nobody is signed in, the account that was tried, if there is one.
    let person = |by: &By, act: &Act| by.actor.account().map_or(act.object, |account| account.0);
    let acts: Vec<_> = acts.iter().map(|(by, act)| (*by, *act, person(by, act))).collect();
    if acts.is_empty() {
        return Ok(());
    }
    let turn = lock(tx, chain, acts.iter().map(|(_, _, person)| *person).collect()).await?;
    let keys: HashMap<Uuid, Key> =
        turn.address_keys.into_iter().map(|(person, kept)| (person, seals.addresses(kept))).collect();
    let seals = seals.of(chain);
    // As PostgreSQL keeps it: the seal must fit what is read back.
    let created_at = clock::now().trunc_subsecs(6);
    let (mut seq, mut seal) = (turn.head.seq, turn.head.seal()?);
    let mut entries = Vec::with_capacity(acts.len());
    for (by, act, person) in acts {
        seq += 1;
        let id = ActivityId::new();
        let address_sealed = by.address.zip(keys.get(&person)).map(|(address, key)| address::seal(key, id.0, address));
        let mut entry = Model {
            chain: chain.0,
            seq,
            id,
            created_at,
            actor: by.actor.kind().to_owned(),
            account_id: by.actor.account(),
            token_id: by.actor.token(),
            action: act.action.name().to_owned(),
            object_kind: act.action.object_kind().to_owned(),
            object_id: act.object,
            request_id: by.request_id.clone().filter(|id| !id.is_empty()),
            address: by.address.filter(|_| address_sealed.is_none()).map(address::network),
            details: act.details.to_string(),
            seal: Vec::new(),
            address_sealed,
        };
        seal = seals.seal(&seal, &sealed(&entry));
        entry.seal = seal.to_vec();
        entries.push(entry);
    }
    insert(tx, chain, created_at, &entries).await
}

/// The place and the seal after which a chain goes on.
#[derive(FromQueryResult)]
struct Head {
    seq: i64,
    seal: Vec<u8>,
}

impl Head {
    fn seal(&self) -> Result<Seal> {
        self.seal.as_slice().try_into().map_err(|_| Error::Custom("a seal has 32 bytes".to_owned()))
    }
}

/// The chain, locked until the transaction ends.
struct Turn {
    head: Head,
    /// What goes into the keys of people's addresses; none for whom there is no account.
    address_keys: Vec<(Uuid, Uuid)>,
}

impl FromQueryResult for Turn {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self> {
        let ids: Vec<Uuid> = row.try_get(prefix, "people")?;
        let kept: Vec<Uuid> = row.try_get(prefix, "kept")?;
        Ok(Self { head: Head::from_query_result(row, prefix)?, address_keys: ids.into_iter().zip(kept).collect() })
    }
}

async fn lock(tx: &Tx, chain: WorkspaceId, people: HashSet<Uuid>) -> Result<Turn> {
    let find = "select seq, seal, people, kept
         from activity_chain
         cross join (
             select coalesce(array_agg(id), '{}') as people, coalesce(array_agg(address_key), '{}') as kept
             from account where id = any($2)) account
         where chain = $1 for update of activity_chain";
    let people: Vec<Uuid> = people.into_iter().collect();
    let values = || [chain.into(), people.clone().into()];
    if let Some(turn) = sql::first(tx, find, values()).await? {
        return Ok(turn);
    }
    // The first entry. Another transaction may be writing it, too: one waits here for the other.
    sql::execute(
        tx,
        "insert into activity_chain (chain, seq, seal) values ($1, 0, decode(repeat('00', 32), 'hex'))
         on conflict (chain) do nothing",
        [chain.into()],
    )
    .await?;
    sql::first(tx, find, values()).await?.ok_or(Error::RecordNotInserted)
}

/// What may be absent is bound as an empty text.
async fn insert(tx: &Tx, chain: WorkspaceId, created_at: DateTime<Utc>, entries: &[Model]) -> Result<()> {
    let each = |of: fn(&Model) -> String| entries.iter().map(of).collect::<Vec<String>>();
    let seqs: Vec<i64> = entries.iter().map(|entry| entry.seq).collect();
    let ids: Vec<Uuid> = entries.iter().map(|entry| entry.id.0).collect();
    let objects: Vec<Uuid> = entries.iter().map(|entry| entry.object_id).collect();
    let last = entries.last().map(|entry| (entry.seq, entry.seal.clone())).unzip();
    sql::execute(
        tx,
        "with entry as (
             insert into activity (chain, seq, id, created_at, actor, account_id, token_id, action, object_kind, object_id,
                 request_id, address, details, seal, address_sealed)
             select $1, seq, id, $2, actor, nullif(account, '')::uuid, nullif(token, '')::uuid, action, object_kind, object_id,
                 nullif(request, ''), nullif(address, ''), details, decode(seal, 'hex'),
                 decode(nullif(address_sealed, ''), 'hex')
             from unnest($3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                     $11::uuid[], $12::text[], $13::text[], $14::text[], $15::text[])
                 act (seq, id, actor, account, token, request, action, object_kind, object_id, details, seal, address,
                     address_sealed))
         update activity_chain set seq = $16, seal = $17 where chain = $1",
        [
            chain.into(),
            created_at.into(),
            seqs.into(),
            ids.into(),
            each(|entry| entry.actor.clone()).into(),
            each(|entry| entry.account_id.map(|id| id.to_string()).unwrap_or_default()).into(),
            each(|entry| entry.token_id.map(|id| id.to_string()).unwrap_or_default()).into(),
            each(|entry| entry.request_id.clone().unwrap_or_default()).into(),
            each(|entry| entry.action.clone()).into(),
            each(|entry| entry.object_kind.clone()).into(),
            objects.into(),
            each(|entry| entry.details.clone()).into(),
            each(|entry| hex::encode(&entry.seal)).into(),
            each(|entry| entry.address.clone().unwrap_or_default()).into(),
            each(|entry| entry.address_sealed.as_ref().map(hex::encode).unwrap_or_default()).into(),
            last.0.into(),
            last.1.into(),
        ],
    )
    .await?;
    Ok(())
}

/// The bytes of an entry that its seal is over: a JSON list, so that no two entries run together. One with a sealed
/// address has a fifth element; those written before there were any have none.
fn sealed(entry: &Model) -> Vec<u8> {
    let fields = (
        (entry.chain, entry.seq, entry.id, entry.created_at.timestamp_micros()),
        (&entry.actor, entry.account_id, entry.token_id),
        (&entry.action, &entry.object_kind, entry.object_id),
        (&entry.request_id, &entry.address, &entry.details),
    );
    let bytes = match &entry.address_sealed {
        Some(address) => serde_json::to_vec(&(fields.0, fields.1, fields.2, fields.3, hex::encode(address))),
        None => serde_json::to_vec(&fields),
    };
    bytes.expect("ids, numbers and texts can be written")
}

/// Which entries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Of this account and its tokens.
    pub account: Option<AccountId>,
    /// In the log of accounts: what this account did, and what was done to it by others.
    pub about: Option<AccountId>,
    /// Of this action.
    pub action: Option<Action>,
    /// From this time on.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
}

/// From which place, and in which direction.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// Newest first, from before this place on.
    Before(i64),
    /// Oldest first, from after the first place to the second.
    Between(i64, i64),
}

/// Up to `limit` entries of a chain that meet the filter, with the addresses of people who have not been erased.
pub async fn list(
    conn: &impl Conn,
    seals: &Seals,
    chain: WorkspaceId,
    filter: &Filter,
    place: Place,
    limit: i64,
) -> Result<Vec<Model>> {
    let stored = read(conn, chain, filter, place, limit).await?;
    Ok(stored.into_iter().map(|stored| stored.opened(seals)).collect())
}

/// An entry, and what goes into the key of its address while there is the account.
struct Stored {
    entry: Model,
    address_key: Option<Uuid>,
}

impl FromQueryResult for Stored {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self> {
        Ok(Self { entry: Model::from_query_result(row, prefix)?, address_key: row.try_get(prefix, "address_key")? })
    }
}

impl Stored {
    fn opened(self, seals: &Seals) -> Model {
        let Self { mut entry, address_key } = self;
        if let Some((kept, sealed)) = address_key.zip(entry.address_sealed.as_ref()) {
            let opened = address::open(&seals.addresses(kept), entry.id.0, sealed);
            // One that does not open was tampered with: `check` says where.
            entry.address = opened.ok().map(|address| address.to_string());
        }
        entry
    }
}

async fn read(conn: &impl Conn, chain: WorkspaceId, filter: &Filter, place: Place, limit: i64) -> Result<Vec<Stored>> {
    let mut text = String::new();
    let mut values: Vec<Value> = vec![chain.into()];
    // Only the conditions that are there: the planner then knows which index serves.
    let mut add = |condition: &str, value: Value| {
        values.push(value);
        text.push_str(&format!(" and {condition} ${}", values.len()));
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
    let order = match place {
        Place::Before(seq) => {
            add("seq <", seq.into());
            "desc"
        }
        Place::Between(after, last) => {
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
            &with_keys(&format!("select * from activity where chain = $1{text} {end}"), order),
            values,
        )
        .await;
    };
    values.push(about.into());
    let place = values.len();
    // Each half along its own index, however long the log of all accounts is.
    let own = format!("select * from activity where chain = $1 and account_id = ${place}{text} {end}");
    let others = format!(
        "select * from activity where {} and account_id is distinct from ${place}{text} {end}",
        of_accounts(&format!("object_id = ${place}"))
    );
    let both = format!("select * from (({own}) union all ({others})) entry {end}");
    sql::all(conn, &with_keys(&both, order), values).await
}

/// A query for entries, with what goes into the keys of their addresses.
fn with_keys(entries: &str, order: &str) -> String {
    format!(
        "select entry.*, (select account.address_key from account
             where account.id = coalesce(entry.account_id, entry.object_id)) as address_key
         from ({entries}) entry order by entry.seq {order}"
    )
}

/// A condition on the log of accounts, whose indexes are partial: the chain is said, not bound.
fn of_accounts(condition: &str) -> String {
    format!("chain = '{ACCOUNTS}' and {condition}")
}

/// The place of an entry in the log of accounts, if it is about this account.
pub async fn place_about(conn: &impl Conn, account: AccountId, entry: ActivityId) -> Result<Option<i64>> {
    #[derive(FromQueryResult)]
    struct Row {
        seq: i64,
    }
    let condition = of_accounts("id = $1 and (account_id = $2 or object_id = $2)");
    let row: Option<Row> =
        sql::first(conn, &format!("select seq from activity where {condition}"), [entry.into(), account.into()])
            .await?;
    Ok(row.map(|row| row.seq))
}

/// The last place of a chain; 0 when it is empty.
pub async fn last(conn: &impl Conn, chain: WorkspaceId) -> Result<i64> {
    Ok(head(conn, chain).await?.map_or(0, |head| head.seq))
}

async fn head(conn: &impl Conn, chain: WorkspaceId) -> Result<Option<Head>> {
    sql::first(conn, "select seq, seal from activity_chain where chain = $1", [chain.into()]).await
}
