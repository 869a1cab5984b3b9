//! Reads entries, with conditions and in both directions.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, Order, QueryFilter, QueryOrder, QueryResult, QuerySelect,
    QueryTrait,
    sea_query::{Asterisk, BinOper, Expr, ExprTrait, Func, Query, SelectStatement, UnionType},
};
use uuid::Uuid;

use super::ACCOUNT_CHAIN;
use crate::{
    crypt::{audit_mac::AuditKeys, ip_address},
    domain::activity::Action,
    entity::{
        account,
        activity::{Column, Entity, Model},
    },
    id::{AccountId, ActivityId, WorkspaceId},
    store::{Conn, Result, sql},
};

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
pub(super) struct StoredEntry {
    pub(super) row: Model,
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

pub(super) async fn read(
    conn: &impl Conn,
    chain: WorkspaceId,
    filter: &ActivityFilter,
    range: SeqRange,
    limit: i64,
) -> Result<Vec<StoredEntry>> {
    // Absent conditions are left out of the statement, so that the planner picks the matching index.
    let conditions = Condition::all()
        .add_option(filter.account.map(|account| Column::AccountId.eq(account)))
        .add_option(filter.action.map(|action| Column::Action.eq(action.name())))
        .add_option(filter.since.map(|since| Column::CreatedAt.gte(since)))
        .add_option(filter.until.map(|until| Column::CreatedAt.lt(until)));
    let (conditions, order) = match range {
        SeqRange::Before(seq) => (conditions.add(Column::Seq.lt(seq)), Order::Desc),
        SeqRange::Between(after, last) => {
            (conditions.add(Column::Seq.gt(after)).add(Column::Seq.lte(last)), Order::Asc)
        }
    };
    let limit = sql::row_limit(limit);
    let matching = |part: Condition| {
        let entries = Entity::find().filter(part).filter(conditions.clone());
        entries.order_by(Column::Seq, order.clone()).limit(limit).into_query()
    };
    let in_chain = Condition::all().add(Column::Chain.eq(chain));
    let entries = match filter.about {
        None => matching(in_chain),
        Some(about) => {
            // Each half reads along its own index, regardless of how long the account chain is.
            let by_others = Column::AccountId.into_expr().binary(BinOper::Custom("is distinct from"), about);
            let own = matching(in_chain.add(Column::AccountId.eq(about)));
            let others = matching(in_account_chain().add(Column::ObjectId.eq(about)).add(by_others));
            select_all(own, "own")
                .union(UnionType::All, select_all(others, "others"))
                .order_by(Column::Seq, order.clone())
                .limit(limit)
                .take()
        }
    };
    let rows = conn.query_all(&with_salts(entries, order)).await?;
    rows.iter().map(|row| StoredEntry::from_query_result(row, "")).collect()
}

fn select_all(statement: SelectStatement, alias: &'static str) -> SelectStatement {
    Query::select().column(Asterisk).from_subquery(statement, alias).take()
}

/// Adds the salts of address keys to a query for entries.
fn with_salts(entries: SelectStatement, order: Order) -> SelectStatement {
    const ENTRY: &str = "entry";
    let owner = Func::coalesce([Expr::col((ENTRY, Column::AccountId)), Expr::col((ENTRY, Column::ObjectId))]);
    let salt = Query::select()
        .column((account::Entity, "address_salt"))
        .from(account::Entity)
        .and_where(account::Column::Id.into_expr().eq(owner))
        .take();
    Query::select()
        .column((ENTRY, Asterisk))
        .expr_as(salt, "address_salt")
        .from_subquery(entries, ENTRY)
        .order_by((ENTRY, Column::Seq), order)
        .take()
}

/// A condition on the account chain. The chain is a literal, because the indexes on it are partial.
fn in_account_chain() -> Condition {
    Condition::all().add(Column::Chain.into_expr().eq(Expr::Constant(ACCOUNT_CHAIN.into())))
}

/// The sequence number of an entry in the account chain, if the entry is by or about this account.
pub async fn find_seq(conn: &impl Conn, account: AccountId, entry: ActivityId) -> Result<Option<i64>> {
    Entity::find()
        .select_only()
        .column(Column::Seq)
        .filter(in_account_chain())
        .filter(Column::Id.eq(entry))
        .filter(Condition::any().add(Column::AccountId.eq(account)).add(Column::ObjectId.eq(account)))
        .into_tuple()
        .one(conn)
        .await
}
