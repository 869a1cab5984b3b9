//! Postings: the chunks of each word of a collection, written with the chunks.
//!
//! Chunks that are written together are a **unit**, and have one row for each of their words; so transactions that write to the
//! same collection never wait for each other. The worker merges the rows of many units ([`merge`]), so that a search reads few
//! rows for a word. A chunk is known by the number of its **document**, which contains its unit. Units of targets that are
//! not live, and those of deleted targets (tombstones), are left out by search.

mod merge;

use nvisy_lexical::analysis::{UNIT_CHUNKS, UnitTerms, document, index_unit, unit_of};
use sea_orm::raw_sql;

pub use self::merge::{Fragmented, merge, next_fragmented};
use super::{Conn, Error, Result, Tx, sql};
use crate::id::{ChunkId, CollectionId, FileId, TargetId, WorkspaceId};

/// Adds the postings of chunks with these texts to the units of their target. Returns the number of each chunk's document.
pub(super) async fn insert(
    tx: &Tx,
    workspace: WorkspaceId,
    collection: CollectionId,
    target: TargetId,
    texts: Vec<String>,
) -> Result<Vec<i64>> {
    let mut documents = Vec::with_capacity(texts.len());
    let (mut units, mut words) = (Vec::new(), 0);
    for texts in texts.chunks(UNIT_CHUNKS) {
        let unit = next_unit(tx, workspace, collection).await?;
        let analysed = analyse(unit, texts.to_vec()).await?;
        documents.extend((0..texts.len()).map(|place| document(unit, place)));
        words += analysed.lengths.iter().map(|length| i64::from(*length)).sum::<i64>();
        write(tx, workspace, collection, unit, analysed.terms).await?;
        units.push(unit);
    }
    let known = raw_sql!(
        Postgres,
        "update target set units = units || {units}::bigint[], words = words + {words}
         where workspace_id = {workspace} and id = {target}"
    );
    sql::execute(tx, known).await?;
    Ok(documents)
}

/// The postings of a chunk of which the text changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChangedChunk<'a> {
    pub(super) collection: CollectionId,
    pub(super) target: TargetId,
    /// Its document, if it is the only one of its unit. The unit is removed with the change.
    pub(super) own: Option<i64>,
    /// The text before.
    pub(super) before: &'a str,
}

/// Adds the postings of the new text of a chunk, in a unit of their own. Returns the number of the document.
pub(super) async fn replace(tx: &Tx, workspace: WorkspaceId, chunk: ChangedChunk<'_>, text: &str) -> Result<i64> {
    let documents = insert(tx, workspace, chunk.collection, chunk.target, vec![text.to_owned()]).await?;
    let words = count_words(chunk.before).await?;
    remove_own(tx, workspace, chunk, -words).await?;
    documents.first().copied().ok_or(Error::RecordNotInserted)
}

/// Makes a chunk that gets its first text again known by the postings of that, which are still there.
pub(super) async fn restore(tx: &Tx, workspace: WorkspaceId, chunk: ChangedChunk<'_>, text: &str) -> Result<()> {
    let words = count_words(text).await? - count_words(chunk.before).await?;
    remove_own(tx, workspace, chunk, words).await
}

async fn count_words(text: &str) -> Result<i64> {
    let analysed = analyse(0, vec![text.to_owned()]).await?;
    Ok(analysed.lengths.into_iter().map(i64::from).sum())
}

/// Removes the unit of a chunk, and adds to the number of its target's words.
async fn remove_own(tx: &Tx, workspace: WorkspaceId, chunk: ChangedChunk<'_>, words: i64) -> Result<()> {
    let ChangedChunk { collection, target, own, .. } = chunk;
    let removed: Vec<i64> = own.into_iter().map(unit_of).collect();
    let counted = raw_sql!(
        Postgres,
        "update target set words = words + {words},
             units = array(select unit from unnest(units) as unit where unit <> all({removed}::bigint[]))
         where workspace_id = {workspace} and id = {target}"
    );
    sql::execute(tx, counted).await?;
    if !removed.is_empty() {
        let tombstone = raw_sql!(
            Postgres,
            "insert into posting_tombstone (workspace_id, collection_id, units, chunks)
             values ({workspace}, {collection}, {removed}, 1)"
        );
        sql::execute(tx, tombstone).await?;
    }
    Ok(())
}

async fn next_unit(tx: &Tx, workspace: WorkspaceId, collection: CollectionId) -> Result<i64> {
    let unit = raw_sql!(
        Postgres,
        "insert into posting_unit (workspace_id, collection_id) values ({workspace}, {collection}) returning unit"
    );
    sql::first_value(tx, unit).await?.ok_or_else(|| Error::RecordNotInserted)
}

/// The terms of texts. Analysis takes about a millisecond for a page, so it does not run on the threads of connections.
async fn analyse(unit: i64, texts: Vec<String>) -> Result<UnitTerms> {
    let analysis = tokio::task::spawn_blocking(move || {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        index_unit(unit, &texts)
    });
    analysis.await.map_err(|error| Error::Custom(error.to_string()))
}

/// Writes the terms of a unit, in their order: neighbours in the index are written together.
async fn write(
    tx: &Tx,
    workspace: WorkspaceId,
    collection: CollectionId,
    unit: i64,
    rows: Vec<(String, Vec<u8>, i32)>,
) -> Result<()> {
    /// Rows of one insert: bounds the size of the statement.
    const BATCH_ROWS: usize = 20_000;
    let count = i32::try_from(rows.len()).unwrap_or(i32::MAX);
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let (mut terms, mut packed, mut documents) = (Vec::new(), Vec::new(), Vec::new());
        for (term, bytes, count) in rows.by_ref().take(BATCH_ROWS) {
            terms.push(term);
            packed.push(bytes);
            documents.push(count);
        }
        let added = raw_sql!(
            Postgres,
            "insert into posting (workspace_id, collection_id, term, unit, documents, postings)
             select {workspace}, {collection}, term, {unit}, documents, postings
             from unnest({terms}::text[], {documents}::integer[], {packed}::bytea[]) as row (term, documents, postings)"
        );
        sql::execute(tx, added).await?;
    }
    let counted = raw_sql!(
        Postgres,
        "update posting_unit set terms = terms + {count}
         where workspace_id = {workspace} and collection_id = {collection} and unit = {unit}"
    );
    sql::execute(tx, counted).await?;
    Ok(())
}

/// A target whose chunks are older than the postings, and have none yet.
pub async fn next_without_postings(conn: &impl Conn) -> Result<Option<(WorkspaceId, TargetId, FileId)>> {
    let next = raw_sql!(
        Postgres,
        "select workspace_id, id, file_id from target where not has_postings order by live desc limit 1"
    );
    sql::first_value(conn, next).await
}

/// Adds the postings of such a target.
pub async fn add_missing(tx: &Tx, workspace: WorkspaceId, target: TargetId, file: FileId) -> Result<()> {
    let lock =
        raw_sql!(Postgres, "select id from file where workspace_id = {workspace} and id = {file} for no key update");
    sql::execute(tx, lock).await?;
    let begun = raw_sql!(
        Postgres,
        "update target set has_postings = true where workspace_id = {workspace} and id = {target} and not has_postings
         returning collection_id"
    );
    let Some(collection) = sql::first_value::<(CollectionId,)>(tx, begun).await? else { return Ok(()) };
    let limit = i64::try_from(UNIT_CHUNKS).unwrap_or(i64::MAX);
    loop {
        let chunks = raw_sql!(
            Postgres,
            "select id, text from chunk where workspace_id = {workspace} and target_id = {target} and document is null
             order by ordinal limit {limit}"
        );
        let chunks: Vec<(ChunkId, String)> = sql::all_values(tx, chunks).await?;
        if chunks.is_empty() {
            return Ok(());
        }
        let (ids, texts): (Vec<_>, Vec<_>) = chunks.into_iter().unzip();
        let documents = insert(tx, workspace, collection.0, target, texts).await?;
        // `offset 0` hides the tenant from the planner, which would read all of its chunks where it expects few.
        let numbered = raw_sql!(
            Postgres,
            "update chunk set document = numbered.document
             from (
                 select {workspace}::uuid as workspace_id, given.*
                 from unnest({ids}::uuid[], {documents}::bigint[]) as given (id, document) offset 0) numbered
             where chunk.workspace_id = numbered.workspace_id and chunk.id = numbered.id"
        );
        sql::execute(tx, numbered).await?;
    }
}

/// Deletes up to `limit` rows of a deleted collection. Returns their number.
pub async fn delete_of_collection(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collection: CollectionId,
    limit: i64,
) -> Result<u64> {
    let deleted = raw_sql!(
        Postgres,
        "delete from posting where workspace_id = {workspace} and collection_id = {collection} and (term, unit) in (
             select term, unit from posting where workspace_id = {workspace} and collection_id = {collection}
             order by term, unit limit {limit})"
    );
    sql::execute(conn, deleted).await
}
