//! The chunk and the file of each candidate, which words know by its document only.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, Statement};

use super::{
    condition::condition,
    fusion::{Candidate, OwningFile},
    parameters::Parameters,
    query::{Boost, boost_factor},
};
use crate::{
    id::{ChunkId, FileId, TargetId, WorkspaceId},
    store::{Conn, Result, sql},
};

/// The hash of a passage, of a row `c` of `chunk`. That of a hit is the same (`hits.rs`).
const PASSAGE: &str = "hashtextextended(concat_ws(' ', c.version_id, c.start_byte, c.end_byte, c.text), 0)";

#[derive(FromQueryResult)]
struct Row {
    chunk_id: ChunkId,
    document: Option<i64>,
    file_id: FileId,
    target_id: TargetId,
    passage: Option<i64>,
    created_at: DateTime<Utc>,
    /// Whether it matches each of the boosts.
    boosted: Vec<bool>,
}

/// Adds the chunks and files of candidates, and their passages if `with_passages`. `offset 0` keeps the planner from reading all files
/// of the tenant.
pub(super) async fn find(
    conn: &impl Conn,
    workspace: WorkspaceId,
    found: Vec<Candidate>,
    boosts: &[Boost],
    with_passages: bool,
) -> Result<Vec<Candidate>> {
    let chunks: Vec<ChunkId> = found.iter().filter_map(|found| found.chunk).collect();
    let documents: Vec<i64> =
        found.iter().filter(|found| found.chunk.is_none()).filter_map(|found| found.document).collect();
    let rows: Vec<Row> = sql::all(conn, statement(workspace, chunks, documents, boosts, with_passages)).await?;
    let by_document: HashMap<i64, usize> =
        rows.iter().enumerate().filter_map(|(place, row)| Some((row.document?, place))).collect();
    let by_chunk: HashMap<ChunkId, usize> = rows.iter().enumerate().map(|(place, row)| (row.chunk_id, place)).collect();
    let located = found.into_iter().filter_map(|found| {
        let place = match found.chunk {
            Some(chunk) => by_chunk.get(&chunk),
            None => by_document.get(&found.document?),
        };
        let row = &rows[*place?];
        let file = OwningFile {
            id: row.file_id,
            target: row.target_id,
            passage: row.passage,
            created_at: row.created_at,
            boost: boost_factor(boosts, &row.boosted),
        };
        Some(Candidate { chunk: Some(row.chunk_id), file: Some(file), ..found })
    });
    Ok(located.collect())
}

/// Selects a [`Row`] for each chunk. Without boosts, no version of a file is read, and without passages, no text.
fn statement(
    workspace: WorkspaceId,
    chunks: Vec<ChunkId>,
    documents: Vec<i64>,
    boosts: &[Boost],
    with_passages: bool,
) -> Statement {
    let mut parameters = Parameters::default();
    let workspace = parameters.bind(workspace);
    let (chunks, documents) = (parameters.bind(chunks), parameters.bind(documents));
    let boosted: Vec<String> = boosts.iter().map(|boost| condition(&boost.filter, &mut parameters)).collect();
    let (columns, version) = if boosts.is_empty() {
        ("created_at", String::new())
    } else {
        let version = format!(
            "cross join lateral (
                 select media_type, bytes, page_count, state, failure_code from file_version
                 where workspace_id = {workspace} and id = c.version_id offset 0) v"
        );
        ("id, name, created_at, tags, metadata", version)
    };
    let (of_passage, passage) =
        if with_passages { (", start_byte, end_byte, text", PASSAGE) } else { ("", "null::bigint") };
    let text = format!(
        "select c.id as chunk_id, c.document, c.file_id, c.target_id, {passage} as passage, f.created_at,
             array[{}]::boolean[] as boosted
         from (
             select c.* from unnest({chunks}::uuid[]) as found (id) cross join lateral (
                 select id, document, file_id, target_id, version_id{of_passage} from chunk
                 where workspace_id = {workspace} and id = found.id offset 0) c
             union all
             select c.* from unnest({documents}::bigint[]) as found (document) cross join lateral (
                 select id, document, file_id, target_id, version_id{of_passage} from chunk
                 where workspace_id = {workspace} and document = found.document offset 0) c) c
         cross join lateral (
             select {columns} from file where workspace_id = {workspace} and id = c.file_id offset 0) f
         {version}",
        boosted.join(", ")
    );
    parameters.into_statement(text)
}
