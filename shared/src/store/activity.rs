//! The activity log: one chain of entries for each workspace, and one for what concerns accounts.
//!
//! The database refuses to change or remove entries, and each entry is sealed together with the seal before it under a
//! key that the database does not have. An entry names accounts and things by id only: when a person is erased, what
//! they did stays, and nobody can tell who it was.

use std::net::IpAddr;

use chrono::{DateTime, SubsecRound, Utc};
use sea_orm::{FromQueryResult, Value};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Conn, Error, Result, Tx, sql};
use crate::{
    clock,
    crypt::seal::{SEAL_BYTES, Seal, Seals},
    domain::activity::{Action, Actor},
    entity::activity::Model,
    id::{AccountId, ActivityId, WorkspaceId},
};

/// The chain of what concerns accounts.
pub const ACCOUNTS: WorkspaceId = WorkspaceId(Uuid::nil());

/// Entries read at once where a whole chain is read.
const BATCH: i64 = 500;

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
///
/// # Errors
/// The database's.
pub async fn append(tx: &Tx, seals: &Seals, chain: WorkspaceId, by: &By, acts: &[Act]) -> Result<()> {
    if acts.is_empty() {
        return Ok(());
    }
    let head = lock(tx, chain, acts.len()).await?;
    let seals = seals.of(chain);
    // As PostgreSQL keeps it: the seal must fit what is read back.
    let created_at = clock::now().trunc_subsecs(6);
    let (mut seq, mut seal) = (head.seq, head.seal()?);
    let mut entries = Vec::with_capacity(acts.len());
    for act in acts {
        seq += 1;
        let mut entry = Model {
            chain: chain.0,
            seq,
            id: ActivityId::new(),
            created_at,
            actor: by.actor.kind().to_owned(),
            account_id: by.actor.account(),
            token_id: by.actor.token(),
            action: act.action.name().to_owned(),
            object_kind: act.action.object_kind().to_owned(),
            object_id: act.object,
            request_id: by.request_id.clone(),
            address: by.address.map(|address| address.to_canonical().to_string()),
            details: act.details.to_string(),
            seal: Vec::new(),
        };
        seal = seals.seal(&seal, &sealed(&entry));
        entry.seal = seal.to_vec();
        entries.push(entry);
    }
    insert(tx, chain, by, created_at, entries).await
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

/// Takes the next `count` places.
async fn lock(tx: &Tx, chain: WorkspaceId, count: usize) -> Result<Head> {
    let head = sql::first(
        tx,
        "insert into activity_chain (chain, seq, seal) values ($1, $2, decode(repeat('00', 32), 'hex'))
         on conflict (chain) do update set seq = activity_chain.seq + $2
         returning seq - $2 as seq, seal",
        [chain.into(), i64::try_from(count).unwrap_or(i64::MAX).into()],
    )
    .await?;
    head.ok_or(Error::RecordNotInserted)
}

async fn insert(tx: &Tx, chain: WorkspaceId, by: &By, created_at: DateTime<Utc>, entries: Vec<Model>) -> Result<()> {
    let each = |of: fn(&Model) -> String| entries.iter().map(of).collect::<Vec<String>>();
    let seqs: Vec<i64> = entries.iter().map(|entry| entry.seq).collect();
    let ids: Vec<Uuid> = entries.iter().map(|entry| entry.id.0).collect();
    let objects: Vec<Uuid> = entries.iter().map(|entry| entry.object_id).collect();
    let last = entries.last().map(|entry| entry.seal.clone());
    sql::execute(
        tx,
        "with entry as (
             insert into activity (chain, seq, id, created_at, actor, account_id, token_id, action, object_kind, object_id,
                 request_id, address, details, seal)
             select $1, seq, id, $2, $3, $4, $5, action, object_kind, object_id, $6, $7, details, decode(seal, 'hex')
             from unnest($8::bigint[], $9::uuid[], $10::text[], $11::text[], $12::uuid[], $13::text[], $14::text[])
                 act (seq, id, action, object_kind, object_id, details, seal))
         update activity_chain set seal = $15 where chain = $1",
        [
            chain.into(),
            created_at.into(),
            by.actor.kind().into(),
            by.actor.account().into(),
            by.actor.token().into(),
            by.request_id.clone().into(),
            by.address.map(|address| address.to_canonical().to_string()).into(),
            seqs.into(),
            ids.into(),
            each(|entry| entry.action.clone()).into(),
            each(|entry| entry.object_kind.clone()).into(),
            objects.into(),
            each(|entry| entry.details.clone()).into(),
            each(|entry| hex::encode(&entry.seal)).into(),
            last.into(),
        ],
    )
    .await?;
    Ok(())
}

/// The bytes of an entry that its seal is over: a JSON list, so that no two entries run together.
fn sealed(entry: &Model) -> Vec<u8> {
    let fields = (
        (entry.chain, entry.seq, entry.id, entry.created_at.timestamp_micros()),
        (&entry.actor, entry.account_id, entry.token_id),
        (&entry.action, &entry.object_kind, entry.object_id),
        (&entry.request_id, &entry.address, &entry.details),
    );
    serde_json::to_vec(&fields).expect("ids, numbers and texts can be written")
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

/// Up to `limit` entries of a chain that meet the filter.
///
/// # Errors
/// The database's.
pub async fn list(
    conn: &impl Conn,
    chain: WorkspaceId,
    filter: &Filter,
    place: Place,
    limit: i64,
) -> Result<Vec<Model>> {
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
        return sql::all(conn, &format!("select * from activity where chain = $1{text} {end}"), values).await;
    };
    values.push(about.into());
    let place = values.len();
    // Each half along its own index, however long the log of all accounts is.
    let own = format!("select * from activity where chain = $1 and account_id = ${place}{text} {end}");
    let others = format!(
        "select * from activity where {} and account_id is distinct from ${place}{text} {end}",
        of_accounts(&format!("object_kind = 'account' and object_id = ${place}"))
    );
    sql::all(conn, &format!("select * from (({own}) union all ({others})) entry {end}"), values).await
}

/// A condition on the log of accounts, whose indexes are partial: the chain is said, not bound.
fn of_accounts(condition: &str) -> String {
    format!("chain = '{ACCOUNTS}' and {condition}")
}

/// The place of an entry in the log of accounts, if it is about this account.
///
/// # Errors
/// The database's.
pub async fn place_about(conn: &impl Conn, account: AccountId, entry: ActivityId) -> Result<Option<i64>> {
    #[derive(FromQueryResult)]
    struct Row {
        seq: i64,
    }
    let condition = of_accounts("id = $1 and (account_id = $2 or (object_kind = 'account' and object_id = $2))");
    let row: Option<Row> =
        sql::first(conn, &format!("select seq from activity where {condition}"), [entry.into(), account.into()])
            .await?;
    Ok(row.map(|row| row.seq))
}

/// The last place of a chain; 0 when it is empty.
///
/// # Errors
/// The database's.
pub async fn last(conn: &impl Conn, chain: WorkspaceId) -> Result<i64> {
    Ok(head(conn, chain).await?.map_or(0, |head| head.seq))
}

async fn head(conn: &impl Conn, chain: WorkspaceId) -> Result<Option<Head>> {
    sql::first(conn, "select seq, seal from activity_chain where chain = $1", [chain.into()]).await
}

/// What came of checking a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Entries that are as they were written, from the first on.
    pub intact: i64,
    /// The seal of the last of them: somebody who kept an earlier one can tell whether the chain still holds it.
    pub seal: Seal,
    /// The first place that is not as it was written.
    pub broken: Option<Broken>,
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The place.
    pub seq: i64,
    /// The entry there, if there is one.
    pub id: Option<ActivityId>,
    /// What is wrong.
    pub why: &'static str,
}

/// Reads a whole chain and checks every seal.
///
/// # Errors
/// The database's.
pub async fn check(conn: &impl Conn, seals: &Seals, chain: WorkspaceId) -> Result<Checked> {
    // The head first: what is added meanwhile is then behind it.
    let head = head(conn, chain).await?;
    let end = head.as_ref().map_or(0, |head| head.seq);
    let seals = seals.of(chain);
    let mut checked = Checked { intact: 0, seal: [0; SEAL_BYTES], broken: None };
    let broken = |checked: &Checked, id, why| Checked {
        broken: Some(Broken { seq: checked.intact + 1, id, why }),
        ..checked.clone()
    };
    while checked.intact < end {
        let place = Place::Between(checked.intact, end);
        let entries = list(conn, chain, &Filter::default(), place, BATCH).await?;
        if entries.is_empty() {
            return Ok(broken(&checked, None, "the entry is missing"));
        }
        for entry in entries {
            if entry.seq != checked.intact + 1 {
                return Ok(broken(&checked, None, "the entry is missing"));
            }
            let seal = seals.seal(&checked.seal, &sealed(&entry));
            if entry.seal != seal {
                return Ok(broken(&checked, Some(entry.id), "the entry and its seal do not fit"));
            }
            checked = Checked { intact: entry.seq, seal, broken: None };
        }
    }
    match head {
        Some(head) if head.seal != checked.seal => {
            Ok(broken(&checked, None, "the chain does not end in its last seal"))
        }
        Some(_) => Ok(checked),
        None => {
            let stray = list(conn, chain, &Filter::default(), Place::Between(0, i64::MAX), 1).await?;
            Ok(stray.first().map_or(checked.clone(), |entry| broken(&checked, Some(entry.id), "the chain has no end")))
        }
    }
}

/// Every chain that has an end or an entry.
///
/// # Errors
/// The database's.
pub async fn chains(conn: &impl Conn) -> Result<Vec<WorkspaceId>> {
    #[derive(FromQueryResult)]
    struct Row {
        chain: WorkspaceId,
    }
    // From chain to chain along the key, not over all entries.
    let rows: Vec<Row> = sql::all(
        conn,
        "with recursive found as (
             (select chain from activity order by chain limit 1)
             union all
             select next.chain from found cross join lateral (
                 select chain from activity where chain > found.chain order by chain limit 1) next)
         select chain from found union select chain from activity_chain order by chain",
        [],
    )
    .await?;
    Ok(rows.into_iter().map(|row| row.chain).collect())
}
