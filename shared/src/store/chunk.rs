//! Chunks and their vectors.

use std::ops::Range;

use pgvector::Vector;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, raw_sql,
    sea_query::OnConflict,
};

use super::{Conn, Result, Tx, sql};
use crate::{
    entity::{chunk, embedding, file_version},
    id::{ChunkId, FileId, SpaceId, VersionId, WorkspaceId},
};

/// Rows of one insert; PostgreSQL accepts 65,535 parameters per statement.
const INSERT_BATCH_ROWS: usize = 2_000;

/// A chunk to be added. Its ordinal is its index in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewChunk {
    /// The text; equal to this byte range of the version's text.
    pub text: String,
    /// The byte range in the version's text.
    pub bytes: Range<usize>,
    /// The page on which it begins, counted from 1.
    pub page: Option<u32>,
    /// The headings above it, outermost first.
    pub heading_path: Vec<String>,
    /// The number of tokens by the space's model.
    pub tokens: u32,
}

/// Replaces the chunks of a version, so that a retried attempt overwrites the one before. An empty list removes the version
/// from search.
pub async fn replace(
    tx: &Tx,
    workspace: WorkspaceId,
    file: FileId,
    version: VersionId,
    chunks: Vec<NewChunk>,
) -> Result<()> {
    chunk::Entity::delete_many()
        .filter(chunk::Column::WorkspaceId.eq(workspace))
        .filter(chunk::Column::VersionId.eq(version))
        .exec(tx)
        .await?;
    let count = i32::try_from(chunks.len()).unwrap_or(i32::MAX);
    file_version::Entity::update_many()
        .set(file_version::ActiveModel { chunk_count: Set(Some(count)), ..Default::default() })
        .filter(file_version::Column::WorkspaceId.eq(workspace))
        .filter(file_version::Column::Id.eq(version))
        .exec(tx)
        .await?;
    let mut rows = chunks.into_iter().zip(0_i32..).map(|(new, ordinal)| chunk::ActiveModel {
        workspace_id: Set(workspace),
        id: Set(ChunkId::new()),
        file_id: Set(file),
        version_id: Set(version),
        ordinal: Set(ordinal),
        text: Set(new.text),
        start_byte: Set(i64::try_from(new.bytes.start).unwrap_or(i64::MAX)),
        end_byte: Set(i64::try_from(new.bytes.end).unwrap_or(i64::MAX)),
        page: Set(new.page.and_then(|page| i32::try_from(page).ok())),
        heading_path: Set(new.heading_path),
        tokens: Set(i32::try_from(new.tokens).unwrap_or(i32::MAX)),
    });
    loop {
        let batch: Vec<_> = rows.by_ref().take(INSERT_BATCH_ROWS).collect();
        if batch.is_empty() {
            return Ok(());
        }
        chunk::Entity::insert_many(batch).exec_without_returning(tx).await?;
    }
}

/// The part of a chunk that is embedded.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `chunk`")]
pub struct Passage {
    pub id: ChunkId,
    pub text: String,
    pub tokens: i32,
}

/// Chunks of a version by their ordinals.
pub async fn passages(
    conn: &impl Conn,
    workspace: WorkspaceId,
    version: VersionId,
    ordinals: Range<i32>,
) -> Result<Vec<Passage>> {
    use chunk::Column;
    chunk::Entity::find()
        .select_only()
        .columns([Column::Id, Column::Text, Column::Tokens])
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::VersionId.eq(version))
        .filter(Column::Ordinal.gte(ordinals.start))
        .filter(Column::Ordinal.lt(ordinals.end))
        .order_by_asc(Column::Ordinal)
        .into_model()
        .all(conn)
        .await
}

/// A chunk and its vector.
pub type ChunkVector = (ChunkId, Vec<f32>);

/// Adds vectors of a space; existing ones stay.
pub async fn insert_vectors(
    tx: &Tx,
    workspace: WorkspaceId,
    space: SpaceId,
    (file, version): (FileId, VersionId),
    vectors: Vec<ChunkVector>,
) -> Result<()> {
    if vectors.is_empty() {
        return Ok(());
    }
    let rows = vectors.into_iter().map(|(chunk, vector)| embedding::ActiveModel {
        workspace_id: Set(workspace),
        space_id: Set(space),
        chunk_id: Set(chunk),
        file_id: Set(file),
        version_id: Set(version),
        vector: Set(Vector::from(vector)),
    });
    embedding::Entity::insert_many(rows)
        .on_conflict(
            OnConflict::columns([
                embedding::Column::WorkspaceId,
                embedding::Column::SpaceId,
                embedding::Column::VersionId,
                embedding::Column::ChunkId,
            ])
            .do_nothing()
            .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Deletes a version's vectors if they are not all of this space, which happens if the workspace's space was changed while
/// they were computed. Returns whether any were deleted.
pub async fn delete_mixed_vectors(tx: &Tx, workspace: WorkspaceId, version: VersionId, space: SpaceId) -> Result<bool> {
    let mixed = raw_sql!(
        Postgres,
        "delete from embedding where workspace_id = {workspace} and version_id = {version} and exists (
             select from chunk where chunk.workspace_id = {workspace} and chunk.version_id = {version} and not exists (
                 select from embedding own where own.workspace_id = {workspace} and own.space_id = {space}
                     and own.version_id = {version} and own.chunk_id = chunk.id))"
    );
    Ok(sql::execute(tx, mixed).await? > 0)
}
