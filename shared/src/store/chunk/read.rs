//! Reading the chunks that search reads, with their origin.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use nvisy_lexical::Language;
use pgvector::Vector;
use sea_orm::{FromQueryResult, raw_sql};
use uuid::Uuid;

use crate::{
    id::{ChunkId, CollectionId, FileId, PipelineId, TargetId, VersionId, WorkspaceId},
    store::{Conn, Error, Result, search::Parameters, sql},
};

/// A chunk of a live target, with its file and its collection.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `chunk`, `target`, `file`, `file_version` and `collection`")]
pub struct ChunkRow {
    pub id: ChunkId,
    pub target_id: TargetId,
    pub ordinal: i32,
    pub file_id: FileId,
    pub file_name: String,
    pub version_id: VersionId,
    /// The number of the version.
    pub version: i32,
    pub collection_id: CollectionId,
    pub collection_name: String,
    /// The pipeline that has written it; `None`: a run of a definition that is not stored.
    pub pipeline_id: Option<PipelineId>,
    /// The id of the sink in the definition.
    pub node: String,
    pub text: String,
    /// The text of the source, where members have written another.
    pub original_text: Option<String>,
    pub start_byte: i64,
    pub end_byte: i64,
    pub page: Option<i32>,
    pub heading_path: Vec<String>,
    pub prefix: Option<String>,
    pub tokens: i32,
    /// Whether search leaves it out.
    pub disabled: bool,
    pub revision: i32,
    /// When search began to read it.
    pub indexed_at: DateTime<Utc>,
}

impl ChunkRow {
    /// The text of its source.
    #[must_use]
    pub fn source(&self) -> &str {
        self.original_text.as_deref().unwrap_or(&self.text)
    }
}

/// The place of a chunk in lists, which have the chunks of a target together.
pub type ChunkPosition = (TargetId, i32);

/// Limits a list to chunks that match every part that is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChunkFilter {
    /// The collection.
    pub collection: Option<CollectionId>,
    /// The file.
    pub file: Option<FileId>,
    /// Whether search leaves them out.
    pub disabled: Option<bool>,
    /// Whether they have another text than their source.
    pub edited: Option<bool>,
}

/// The columns of [`ChunkRow`].
const COLUMNS: &str = "c.id, c.target_id, c.ordinal, c.file_id, f.name as file_name, c.version_id, v.number as version,
    k.id as collection_id, k.name as collection_name, t.pipeline_id, t.node, c.text, c.original_text, c.start_byte, c.end_byte, c.page,
    c.heading_path, c.prefix, c.tokens, c.disabled, c.revision, coalesce(t.published_at, t.created_at) as indexed_at";

/// What a chunk `c` belongs to; no row, if search does not read it.
const ORIGIN: &str = "join target t on t.workspace_id = c.workspace_id and t.id = c.target_id and t.live
    join collection k on k.workspace_id = t.workspace_id and k.id = t.collection_id and k.deleted_at is null
    join file f on f.workspace_id = c.workspace_id and f.id = c.file_id
    join file_version v on v.workspace_id = c.workspace_id and v.id = c.version_id";

/// A chunk that search reads, or leaves out because it is disabled.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, chunk: ChunkId) -> Result<Option<ChunkRow>> {
    let mut parameters = Parameters::default();
    let (workspace, chunk) = (parameters.bind(workspace), parameters.bind(chunk));
    let text = format!("select {COLUMNS} from chunk c {ORIGIN} where c.workspace_id = {workspace} and c.id = {chunk}");
    sql::first(conn, parameters.into_statement(text)).await
}

/// The chunks behind a position, in the order of their targets, the oldest first, at most `limit`. Chunks keep their positions, so
/// that a list whose pages continue behind the last position repeats none and misses none that is there all the time.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    filter: &ChunkFilter,
    after: Option<ChunkPosition>,
    limit: i64,
) -> Result<Vec<ChunkRow>> {
    let (target, ordinal) = after.unwrap_or((TargetId(Uuid::nil()), -1));
    let mut parameters = Parameters::default();
    let (workspace, limit) = (parameters.bind(workspace), parameters.bind(limit));
    let (target, ordinal) = (parameters.bind(target), parameters.bind(ordinal));
    let mut targets = format!(
        "t.workspace_id = {workspace} and t.live and exists (
             select from collection k
             where k.workspace_id = t.workspace_id and k.id = t.collection_id and k.deleted_at is null)"
    );
    if let Some(collection) = filter.collection {
        targets.push_str(&format!(" and t.collection_id = {}", parameters.bind(collection)));
    }
    if let Some(file) = filter.file {
        targets.push_str(&format!(" and t.file_id = {}", parameters.bind(file)));
    }
    let behind = format!("(c.target_id, c.ordinal) > ({target}::uuid, {ordinal}::integer)");
    // Both read no more chunks than they return, whatever the number of the others: the first by a partial index, the second
    // target by target.
    let conditions = [
        filter.disabled.map(|disabled| if disabled { "c.disabled" } else { "not c.disabled" }),
        filter.edited.map(|edited| if edited { "c.original_text is not null" } else { "c.original_text is null" }),
    ];
    let conditions: String = conditions.into_iter().flatten().map(|condition| format!(" and {condition}")).collect();
    let places = if filter.disabled == Some(true) || filter.edited == Some(true) {
        format!(
            "select c.target_id, c.ordinal
             from chunk c join target t on t.workspace_id = c.workspace_id and t.id = c.target_id
             where c.workspace_id = {workspace} and {behind} and {targets} {conditions}
             order by c.target_id, c.ordinal limit {limit}"
        )
    } else {
        format!(
            "select t.id as target_id, c.ordinal
             from target t
             cross join lateral (
                 select c.ordinal from chunk c
                 where c.workspace_id = t.workspace_id and c.target_id = t.id and {behind} {conditions}
                 order by c.ordinal limit {limit}) c
             where {targets} and t.id >= {target}::uuid
             order by t.id, c.ordinal limit {limit}"
        )
    };
    let text = format!(
        "select {COLUMNS}
         from ({places}) found
         join chunk c on c.workspace_id = {workspace} and c.target_id = found.target_id and c.ordinal = found.ordinal
         {ORIGIN}
         order by c.target_id, c.ordinal"
    );
    sql::all(conn, parameters.into_statement(text)).await
}

#[derive(FromQueryResult)]
struct VectorRow {
    chunk_id: ChunkId,
    vector: Vector,
}

/// The vectors of chunks in the space that their collection is searched in.
pub async fn vectors(
    conn: &impl Conn,
    workspace: WorkspaceId,
    chunks: Vec<ChunkId>,
) -> Result<HashMap<ChunkId, Vec<f32>>> {
    let vectors = raw_sql!(
        Postgres,
        "select e.chunk_id, e.vector::vector as vector
         from unnest({chunks}::uuid[]) as wanted (id)
         cross join lateral (
             select target_id from chunk where workspace_id = {workspace} and id = wanted.id offset 0) c
         join target t on t.workspace_id = {workspace} and t.id = c.target_id
         join collection k on k.workspace_id = {workspace} and k.id = t.collection_id
         join embedding e on e.workspace_id = {workspace} and e.space_id = k.space_id and e.target_id = t.id
             and e.chunk_id = wanted.id"
    );
    let vectors: Vec<VectorRow> = sql::all(conn, vectors).await?;
    Ok(vectors.into_iter().map(|row| (row.chunk_id, row.vector.to_vec())).collect())
}

/// Adds the language of each chunk; `None`: its text is too short to tell, or the language is none of those with words of their own.
/// The detection takes too long for the threads of connections.
pub async fn detect_languages(rows: Vec<ChunkRow>) -> Result<Vec<(ChunkRow, Option<Language>)>> {
    let detection = tokio::task::spawn_blocking(move || {
        let detected = rows.into_iter().map(|row| {
            let language = Language::detect(&row.text).ok().flatten();
            (row, language)
        });
        detected.collect()
    });
    detection.await.map_err(|error| Error::Custom(error.to_string()))
}
