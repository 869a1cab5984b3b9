//! Merges the rows of units, so that a word has few rows, and removes the postings of deleted targets.

use std::{collections::HashSet, ops::Range};

use nvisy_lexical::{
    DeadDocuments,
    postings::{Row as Postings, pack},
    rank,
};
use sea_orm::{FromQueryResult, raw_sql};

use super::{super::TransactionTrait as _, next_unit, write};
use crate::{
    id::{CollectionId, WorkspaceId},
    store::{Conn, Db, Result, Tx, sql},
};

/// Units of about the same size that are merged at the least.
const MIN_UNITS: usize = 8;
/// A larger unit is merged only if the smaller ones have at least a quarter of its rows, so that each posting is written a
/// number of times that grows with the logarithm of the collection.
const SIZE_RATIO: i64 = 4;
/// Deleted chunks for each live one from which on a collection is merged whole.
const DEAD_SHARE: i64 = 4;
/// Deleted chunks that are never too many.
const MIN_DEAD_CHUNKS: i64 = 200;
/// Terms of one transaction.
const BATCH_TERMS: i64 = 2_000;

/// A collection whose words have more rows than they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `collection`")]
pub struct Fragmented {
    pub workspace_id: WorkspaceId,
    pub collection_id: CollectionId,
}

/// The collections to merge.
pub async fn next_fragmented(conn: &impl Conn) -> Result<Vec<Fragmented>> {
    let units = i64::try_from(MIN_UNITS).unwrap_or(i64::MAX);
    let (share, least) = (DEAD_SHARE, MIN_DEAD_CHUNKS);
    let fragmented = raw_sql!(
        Postgres,
        "select workspace_id, collection_id from posting_unit group by 1, 2 having count(*) >= {units}
         union
         select dead.workspace_id, dead.collection_id
         from (select workspace_id, collection_id, sum(chunks) as chunks from posting_tombstone group by 1, 2) dead
         join collection_usage u on u.workspace_id = dead.workspace_id and u.collection_id = dead.collection_id
         where dead.chunks > {least} and dead.chunks * {share} > u.chunks + (
             select coalesce(sum(t.chunk_count), 0) from target t
             where t.workspace_id = u.workspace_id and t.collection_id = u.collection_id and t.superseded_at is not null)"
    );
    sql::all(conn, fragmented).await
}

#[derive(FromQueryResult)]
struct Unit {
    unit: i64,
    terms: i32,
}

#[derive(FromQueryResult)]
struct Tombstone {
    id: i64,
    units: Vec<i64>,
    chunks: i64,
}

#[derive(FromQueryResult)]
struct Row {
    term: String,
    postings: Vec<u8>,
}

/// Merges units of a collection whose rows are many, in several transactions. After each of them the postings are complete, and
/// an interrupted merge goes on the next time. Returns whether it has merged any.
pub async fn merge(db: &Db, collection: Fragmented) -> Result<bool> {
    // Before the units: each of a tombstone is among them.
    let tombstones = tombstones(db, collection).await?;
    let units = units(db, collection).await?;
    let dead_chunks: i64 = tombstones.iter().map(|tombstone| tombstone.chunks).sum();
    let is_whole = dead_chunks > MIN_DEAD_CHUNKS && dead_chunks * DEAD_SHARE > searched_chunks(db, collection).await?;
    let range = if is_whole { 0..units.len() } else { mergeable(&units) };
    if range.is_empty() {
        return Ok(false);
    }
    let merged: Vec<i64> = units[range].iter().map(|unit| unit.unit).collect();
    let dead = tombstones.iter().flat_map(|tombstone| tombstone.units.iter().copied()).collect();
    let tx = db.begin().await?;
    let unit = next_unit(&tx, collection.workspace_id, collection.collection_id).await?;
    tx.commit().await?;
    let mut after = String::new();
    loop {
        let tx = db.begin().await?;
        if !lock(&tx, collection).await? {
            // The collection was deleted, and its postings with it.
            return Ok(false);
        }
        let last = merge_batch(&tx, collection, unit, &merged, &dead, &after).await?;
        if last.is_none() {
            let removed: Vec<i64> =
                if is_whole { tombstones.iter().map(|tombstone| tombstone.id).collect() } else { Vec::new() };
            finish(&tx, collection, &merged, &removed).await?;
        }
        tx.commit().await?;
        match last {
            Some(term) => after = term,
            None => return Ok(true),
        }
    }
}

/// The units to merge, of those in the order of their size: the smallest of similar size that are many.
fn mergeable(units: &[Unit]) -> Range<usize> {
    for start in 0..units.len() {
        let mut terms = 0;
        let similar = units[start..].iter().take_while(|unit| {
            let is_similar = terms == 0 || i64::from(unit.terms) <= SIZE_RATIO * terms;
            terms += i64::from(unit.terms).max(1);
            is_similar
        });
        let count = similar.count();
        if count >= MIN_UNITS {
            return start..start + count;
        }
    }
    0..0
}

async fn tombstones(db: &Db, of: Fragmented) -> Result<Vec<Tombstone>> {
    let Fragmented { workspace_id, collection_id } = of;
    let tombstones = raw_sql!(
        Postgres,
        "select id, units, chunks from posting_tombstone
         where workspace_id = {workspace_id} and collection_id = {collection_id}"
    );
    sql::all(db, tombstones).await
}

async fn units(db: &Db, of: Fragmented) -> Result<Vec<Unit>> {
    let Fragmented { workspace_id, collection_id } = of;
    let units = raw_sql!(
        Postgres,
        "select unit, terms from posting_unit where workspace_id = {workspace_id} and collection_id = {collection_id}
         order by terms, unit"
    );
    sql::all(db, units).await
}

async fn searched_chunks(db: &Db, of: Fragmented) -> Result<i64> {
    let Fragmented { workspace_id, collection_id } = of;
    let chunks = raw_sql!(
        Postgres,
        "select u.chunks + (
             select coalesce(sum(t.chunk_count), 0) from target t
             where t.workspace_id = u.workspace_id and t.collection_id = u.collection_id and t.superseded_at is not null)::bigint
         from collection_usage u where u.workspace_id = {workspace_id} and u.collection_id = {collection_id}"
    );
    Ok(sql::first_value(db, chunks).await?.unwrap_or_default())
}

/// Keeps the collection from being erased until the transaction ends. `false`: it is deleted.
async fn lock(tx: &Tx, of: Fragmented) -> Result<bool> {
    let Fragmented { workspace_id, collection_id } = of;
    let locked = raw_sql!(
        Postgres,
        "select id from collection where workspace_id = {workspace_id} and id = {collection_id} and deleted_at is null
         for key share"
    );
    Ok(sql::first_value::<(CollectionId,)>(tx, locked).await?.is_some())
}

/// Replaces the rows of the next terms by one each. Another worker that merges the same units finds no rows any more. Returns
/// the last term, `None` if there was none.
async fn merge_batch(
    tx: &Tx,
    of: Fragmented,
    unit: i64,
    merged: &[i64],
    dead: &HashSet<i64>,
    after: &str,
) -> Result<Option<String>> {
    let Fragmented { workspace_id, collection_id } = of;
    let (units, limit) = (merged.to_vec(), BATCH_TERMS);
    let last = raw_sql!(
        Postgres,
        "select max(term) from (
             select distinct term from posting
             where workspace_id = {workspace_id} and collection_id = {collection_id} and term > {after}
                 and unit = any({units})
             order by term limit {limit}) next"
    );
    let Some(last) = sql::first_value::<(Option<String>,)>(tx, last).await?.and_then(|(last,)| last) else {
        return Ok(None);
    };
    let taken = raw_sql!(
        Postgres,
        "with taken as (
             delete from posting
             where workspace_id = {workspace_id} and collection_id = {collection_id} and term > {after} and term <= {last}
                 and unit = any({units})
             returning term, unit, postings)
         select term, postings from taken order by term, unit"
    );
    let rows: Vec<Row> = sql::all(tx, taken).await?;
    let dead = DeadDocuments::new(dead.iter().copied(), []);
    let rows: Vec<(String, Postings)> = rows.into_iter().map(|row| (row.term, Postings::new(row.postings))).collect();
    let written = rows.chunk_by(|(a, _), (b, _)| a == b).filter_map(|rows| {
        let postings = rank::merge(rows.iter().map(|(_, postings)| postings), &dead);
        let count = i32::try_from(postings.len()).unwrap_or(i32::MAX);
        (count > 0).then(|| (rows[0].0.clone(), pack(&postings), count))
    });
    write(tx, workspace_id, collection_id, unit, written.collect()).await?;
    Ok(Some(last))
}

/// Removes units whose rows are merged, and the tombstones of which no posting is left.
async fn finish(tx: &Tx, of: Fragmented, units: &[i64], tombstones: &[i64]) -> Result<()> {
    let Fragmented { workspace_id, collection_id } = of;
    let (units, tombstones) = (units.to_vec(), tombstones.to_vec());
    let merged = raw_sql!(
        Postgres,
        "delete from posting_unit
         where workspace_id = {workspace_id} and collection_id = {collection_id} and unit = any({units})"
    );
    sql::execute(tx, merged).await?;
    let removed = raw_sql!(
        Postgres,
        "delete from posting_tombstone
         where workspace_id = {workspace_id} and collection_id = {collection_id} and id = any({tombstones})"
    );
    sql::execute(tx, removed).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(sizes: &[i32]) -> Vec<Unit> {
        sizes.iter().map(|terms| Unit { unit: 0, terms: *terms }).collect()
    }

    #[test]
    fn units_of_similar_size_are_merged_and_large_ones_wait() {
        assert_eq!(mergeable(&units(&[100; 7])), 0..0);
        assert_eq!(mergeable(&units(&[100; 8])), 0..8);
        assert_eq!(mergeable(&units(&[100, 100, 100, 100, 100, 100, 100, 100, 50_000])), 0..8);
        assert_eq!(mergeable(&units(&[100, 100, 100, 100, 100, 100, 100, 100, 3_000])), 0..9);
        assert_eq!(mergeable(&units(&[1, 1, 500, 600, 700, 800, 900, 1_000, 1_100, 1_200])), 2..10);
    }
}
