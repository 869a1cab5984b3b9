//! Reads the rows of hits, and marks the matched words in their texts.

use std::{
    collections::HashMap,
    ops::Range,
    time::{Duration, Instant},
};

use nvisy_lexical::highlight::{self, KnownWords};
use sea_orm::{FromQueryResult, raw_sql};

use super::{
    fusion::Candidate,
    model::{Explanation, Hit, MARK_END, MARK_START},
    text_leg::Found,
};
use crate::{
    id::{ChunkId, CollectionId, FileId, TargetId, VersionId, WorkspaceId},
    store::{Conn, Result, sql},
};

#[derive(FromQueryResult)]
struct Row {
    chunk_id: ChunkId,
    document: Option<i64>,
    target_id: TargetId,
    ordinal: i32,
    file_id: FileId,
    file_name: String,
    media_type: String,
    version_id: VersionId,
    collection_id: CollectionId,
    collection_name: String,
    page: Option<i32>,
    start_byte: i64,
    end_byte: i64,
    heading_path: Vec<String>,
    text: String,
    is_edited: bool,
    revision: i32,
    passage: i64,
}

/// The chunk of a hit in its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkPlace {
    pub(super) target: TargetId,
    pub(super) ordinal: i32,
}

/// Hits with their places, and the time that marking took.
pub(super) struct ReadHits {
    pub(super) hits: Vec<(Hit, ChunkPlace)>,
    pub(super) highlighting: Duration,
}

impl ReadHits {
    /// Whether a passage is there twice, because the file is in several targets.
    pub(super) fn has_duplicates(&self) -> bool {
        let mut targets = HashMap::with_capacity(self.hits.len());
        self.hits.iter().any(|(hit, place)| *targets.entry(hit.passage).or_insert(place.target) != place.target)
    }
}

/// The hits of candidates, in their order. `offset 0` keeps the planner from reading all files of the tenant.
pub(super) async fn read(
    conn: &impl Conn,
    workspace: WorkspaceId,
    candidates: Vec<Candidate>,
    found: &Found,
) -> Result<ReadHits> {
    if candidates.is_empty() {
        return Ok(ReadHits { hits: Vec::new(), highlighting: Duration::ZERO });
    }
    let chunks: Vec<ChunkId> = candidates.iter().filter_map(|candidate| candidate.chunk).collect();
    let documents: Vec<i64> = candidates
        .iter()
        .filter(|candidate| candidate.chunk.is_none())
        .filter_map(|candidate| candidate.document)
        .collect();
    let rows = raw_sql!(
        Postgres,
        "select c.id as chunk_id, c.document, c.target_id, c.ordinal, c.file_id, f.name as file_name, v.media_type, c.version_id, c.page,
             c.start_byte, c.end_byte, c.heading_path, c.text, c.original_text is not null as is_edited,
             c.revision, hashtextextended(concat_ws(' ', c.version_id, c.start_byte, c.end_byte, c.text), 0) as passage, k.id as collection_id, k.name as collection_name
         from (
             select c.* from unnest({chunks}::uuid[]) as found (id) cross join lateral (
                 select * from chunk where workspace_id = {workspace} and id = found.id offset 0) c
             union all
             select c.* from unnest({documents}::bigint[]) as found (document) cross join lateral (
                 select * from chunk where workspace_id = {workspace} and document = found.document offset 0) c) c
         cross join lateral (
             select name from file where workspace_id = {workspace} and id = c.file_id offset 0) f
         cross join lateral (
             select media_type from file_version where workspace_id = {workspace} and id = c.version_id offset 0) v
         cross join lateral (
             select collection_id from target where workspace_id = {workspace} and id = c.target_id offset 0) t
         cross join lateral (
             select id, name from collection where workspace_id = {workspace} and id = t.collection_id offset 0) k"
    );
    let rows: Vec<Row> = sql::all(conn, rows).await?;
    let mut by_chunk: HashMap<ChunkId, Row> = HashMap::with_capacity(rows.len());
    let mut by_document: HashMap<i64, ChunkId> = HashMap::with_capacity(rows.len());
    for row in rows {
        by_document.extend(row.document.map(|document| (document, row.chunk_id)));
        by_chunk.insert(row.chunk_id, row);
    }
    let began = Instant::now();
    let mut known = (KnownWords::default(), KnownWords::default());
    let hits = candidates.into_iter().filter_map(|candidate| {
        let id = candidate.chunk.or_else(|| by_document.get(&candidate.document?).copied())?;
        Some(hit(by_chunk.remove(&id)?, candidate, found, &mut known))
    });
    Ok(ReadHits { hits: hits.collect(), highlighting: began.elapsed() })
}

fn hit(row: Row, candidate: Candidate, found: &Found, known: &mut (KnownWords, KnownWords)) -> (Hit, ChunkPlace) {
    let place = ChunkPlace { target: row.target_id, ordinal: row.ordinal };
    let (mut matches, synonyms) = found.matches(&row.text, known);
    let words = synonyms.iter().map(|range| row.text[range.clone()].to_owned()).collect();
    matches.extend(synonyms);
    let hit = Hit {
        marked_text: marked(&row.text, highlight::merge(matches)),
        chunk_id: row.chunk_id,
        file_id: row.file_id,
        file_name: row.file_name,
        media_type: row.media_type,
        version_id: row.version_id,
        collection_id: row.collection_id,
        collection_name: row.collection_name,
        page: row.page,
        start_byte: row.start_byte,
        end_byte: row.end_byte,
        heading_path: row.heading_path,
        is_edited: row.is_edited,
        revision: row.revision,
        passage: row.passage,
        score: candidate.score,
        vector_score: candidate.vector_score,
        text_score: candidate.text_score,
        explanation: Explanation { synonyms: words, ..candidate.explanation },
        context: None,
    };
    (hit, place)
}

/// The text with matched words between marks.
fn marked(text: &str, matches: Vec<Range<usize>>) -> String {
    let mut marked = String::with_capacity(text.len() + 64);
    let mut end = 0;
    for range in matches {
        marked.push_str(&text[end..range.start]);
        marked.push(MARK_START);
        marked.push_str(&text[range.clone()]);
        marked.push(MARK_END);
        end = range.end;
    }
    marked.push_str(&text[end..]);
    marked
}
