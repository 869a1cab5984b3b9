//! Phrases and accents, which postings do not know: the words are looked for in the texts of candidates.

use std::collections::HashMap;

use nvisy_lexical::query::{Conditions, Phrase};
use pgvector::Vector;
use sea_orm::{Statement, raw_sql};

use super::{
    parameters::Parameters,
    query::SpaceVector,
    text_leg::{Found, Scope},
    vector_leg::Near,
};
use crate::{
    id::{ChunkId, WorkspaceId},
    store::{Conn, Result, sql},
};

/// Maximum number of chunks whose texts a search reads.
pub(super) const MAX_READ_CHUNKS: i64 = 10_000;
/// Texts of one statement.
const BATCH_CHUNKS: usize = 200;
/// How many times more candidates are read where accents leave too few.
const GROWTH: usize = 8;

/// Whether postings do not decide on the conditions. Excluded words are decided by postings where accents cannot matter, and by
/// texts that are read for their accents; so are excluded prefixes, unless more words begin with them than postings were read of.
pub(super) fn must_be_read(conditions: &Conditions, found: &Found) -> bool {
    let mut phrases = conditions.required.iter().chain(&conditions.excluded);
    found.has_open_exclusions
        || phrases.any(|phrase| phrase.places.len() > 1)
        || conditions.required.iter().any(|phrase| phrase.is_prefix || !conditions.accents.is_folded())
}

/// Whether a text meets the conditions.
fn allows(conditions: &Conditions, text: &str) -> bool {
    let is_in = |phrase: &Phrase| phrase.is_in_with(text, &conditions.languages, &conditions.accents);
    conditions.required.iter().all(is_in) && !conditions.excluded.iter().any(is_in)
}

/// The best chunks by words that meet the conditions, at most `limit`. Of phrases that stand for words of the query, a chunk has the
/// scores only if its text has them.
pub(super) async fn filter(
    conn: &impl Conn,
    workspace: WorkspaceId,
    found: &Found,
    scope: &Scope,
    limit: usize,
) -> Result<Vec<(i64, f64)>> {
    let conditions = &scope.conditions;
    let reads_all = must_be_read(conditions, found);
    let accents = found.accent_check(scope);
    let max = usize::try_from(MAX_READ_CHUNKS).unwrap_or_default();
    // Accents by themselves leave most of the best candidates as they are.
    let mut reach = if reads_all || found.has_phrases() { max } else { limit.min(max) };
    let mut read: HashMap<i64, f64> = HashMap::new();
    loop {
        let candidates = found.best(scope, reach);
        let mut allowed: Vec<(i64, f64)> = Vec::new();
        let is_enough = |allowed: &[(i64, f64)], highest: f64| {
            allowed.iter().filter(|(_, score)| *score >= highest).count() >= limit
        };
        for batch in candidates.chunks(BATCH_CHUNKS) {
            // No chunk from here on can have a higher score than the first of the batch.
            if is_enough(&allowed, batch.first().map_or(0.0, |(_, score)| *score)) {
                break;
            }
            let is_read = |document: i64| {
                reads_all
                    || found.needs_text(document)
                    || accents.as_ref().is_some_and(|accents| accents.needs_text(document))
            };
            let unread = batch.iter().map(|(document, _)| *document);
            let unread = unread.filter(|document| !read.contains_key(document) && is_read(*document)).collect();
            let texts = read_texts(conn, workspace, unread).await?;
            for (document, highest) in batch {
                let score = match (read.get(document), texts.get(document)) {
                    (Some(known), _) => *known,
                    (None, Some(text)) if allows(conditions, text) => match &accents {
                        Some(accents) => accents.score_of((*document, *highest), text),
                        None => found.score_of(scope, (*document, *highest), text),
                    },
                    (None, None) if !is_read(*document) => *highest,
                    // Another text, or none.
                    _ => 0.0,
                };
                read.insert(*document, score);
                if score > 0.0 {
                    allowed.push((*document, score));
                }
            }
        }
        let last = candidates.last().map_or(0.0, |(_, score)| *score);
        if candidates.len() < reach || reach >= max || is_enough(&allowed, last) {
            allowed.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            allowed.truncate(limit);
            return Ok(allowed);
        }
        reach = (reach * GROWTH).min(max);
    }
}

/// The texts of chunks.
async fn read_texts(conn: &impl Conn, workspace: WorkspaceId, documents: Vec<i64>) -> Result<HashMap<i64, String>> {
    if documents.is_empty() {
        return Ok(HashMap::new());
    }
    let texts = raw_sql!(
        Postgres,
        "select document, text from chunk where workspace_id = {workspace} and document = any({documents}::bigint[])"
    );
    Ok(sql::all_values::<(i64, String)>(conn, texts).await?.into_iter().collect())
}

/// Those of the nearest chunks that meet the conditions.
pub(super) async fn filter_near(
    conn: &impl Conn,
    workspace: WorkspaceId,
    conditions: &Conditions,
    near: Vec<Near>,
) -> Result<Vec<Near>> {
    let chunks: Vec<ChunkId> = near.iter().map(|near| near.chunk_id).collect();
    let texts = raw_sql!(
        Postgres,
        "select id, text from chunk where workspace_id = {workspace} and id = any({chunks}::uuid[])"
    );
    let texts: HashMap<ChunkId, String> =
        sql::all_values::<(ChunkId, String)>(conn, texts).await?.into_iter().collect();
    Ok(near.into_iter().filter(|near| texts.get(&near.chunk_id).is_some_and(|text| allows(conditions, text))).collect())
}

/// The nearest of all chunks that meet the conditions, at most `limit`. `None`: too many have the words of the phrases to read
/// their texts, or there are no phrases.
pub(super) async fn nearest(
    conn: &impl Conn,
    workspace: WorkspaceId,
    found: &Found,
    scope: &Scope,
    query: &SpaceVector,
    limit: i64,
) -> Result<Option<Vec<Near>>> {
    let max = usize::try_from(MAX_READ_CHUNKS).unwrap_or_default();
    let Some(documents) = found.with_phrases(scope, max) else { return Ok(None) };
    let mut allowed: Vec<i64> = Vec::new();
    for batch in documents.chunks(BATCH_CHUNKS) {
        let texts = read_texts(conn, workspace, batch.to_vec()).await?.into_iter();
        let texts = texts.filter(|(_, text)| allows(&scope.conditions, text));
        allowed.extend(texts.map(|(document, _)| document));
    }
    if allowed.is_empty() {
        return Ok(Some(Vec::new()));
    }
    Ok(Some(sql::all(conn, distances(workspace, allowed, query, limit)).await?))
}

/// Compares the vectors of chunks exactly. `offset 0` and `is true` hide the tenant and the space from the planner, which would
/// read all of their rows where it expects few.
fn distances(workspace: WorkspaceId, documents: Vec<i64>, query: &SpaceVector, limit: i64) -> Statement {
    let mut parameters = Parameters::default();
    let (workspace, space) = (parameters.bind(workspace), parameters.bind(query.space));
    let (documents, limit) = (parameters.bind(documents), parameters.bind(limit));
    let vector = parameters.bind(Vector::from(query.vector.clone()));
    let dimensions = query.vector.len();
    parameters.into_statement(format!(
        "select nearest.chunk_id, nearest.document, 1 - nearest.distance as score, false as indexed
         from (
             select c.id as chunk_id, c.document, e.vector <=> ({vector}::vector)::halfvec({dimensions}) as distance
             from unnest({documents}::bigint[]) as found (document)
             cross join lateral (
                 select id, document from chunk
                 where workspace_id = {workspace} and document = found.document offset 0) c
             cross join lateral (
                 select vector from embedding
                 where workspace_id = {workspace} and chunk_id = c.id and (space_id = {space}) is true offset 0) e) nearest
         order by nearest.distance, nearest.chunk_id limit {limit}"
    ))
}
