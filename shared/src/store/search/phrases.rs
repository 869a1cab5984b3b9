//! Phrases, which postings do not know: their words are looked for in the texts of candidates.

use std::collections::HashMap;

use nvisy_lexical::query::Conditions;
use sea_orm::raw_sql;

use super::{
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

/// Whether postings do not decide on the conditions.
pub(super) fn must_be_read(conditions: &Conditions) -> bool {
    let phrases = conditions.required.iter().chain(&conditions.excluded);
    phrases.into_iter().any(|phrase| phrase.places.len() > 1)
        || conditions.required.iter().any(|phrase| phrase.is_prefix)
}

/// Whether a text meets the conditions.
fn allows(conditions: &Conditions, text: &str) -> bool {
    let is_in = |phrase: &nvisy_lexical::query::Phrase| phrase.is_in(text, &conditions.languages);
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
    let reads_all = must_be_read(conditions);
    let candidates = found.best(scope, usize::try_from(MAX_READ_CHUNKS).unwrap_or_default());
    let mut allowed: Vec<(i64, f64)> = Vec::new();
    for batch in candidates.chunks(BATCH_CHUNKS) {
        // No chunk from here on can have a higher score than the first of the batch.
        let highest = batch.first().map_or(0.0, |(_, score)| *score);
        if allowed.iter().filter(|(_, score)| *score >= highest).count() >= limit {
            break;
        }
        let is_read = |document: i64| reads_all || found.needs_text(document);
        let documents = batch.iter().map(|(document, _)| *document).filter(|document| is_read(*document)).collect();
        let texts = read_texts(conn, workspace, documents).await?;
        for (document, score) in batch {
            let score = match texts.get(document) {
                Some(text) if allows(conditions, text) => found.score_of(scope, (*document, *score), text),
                None if !is_read(*document) => *score,
                _ => continue,
            };
            if score > 0.0 {
                allowed.push((*document, score));
            }
        }
    }
    allowed.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    allowed.truncate(limit);
    Ok(allowed)
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
