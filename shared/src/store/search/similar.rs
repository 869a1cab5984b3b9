//! The vectors of a chunk or a file, for searches for similar ones.

use pgvector::Vector;
use sea_orm::{FromQueryResult, raw_sql};

use super::{disabled::is_enabled, parameters::Parameters, query::SpaceVector, visibility::Visibility};
use crate::{
    domain::space::Quantisation,
    id::{ChunkId, CollectionId, FileId, SpaceId, WorkspaceId},
    store::{Conn, Result, sql},
};

#[derive(FromQueryResult)]
struct Row {
    space_id: SpaceId,
    quantisation: Quantisation,
    vector: Vector,
}

/// The chunks of the passage of a chunk that search finds, itself and those of other targets of its file. Empty: search does not find
/// it, because it is disabled, or its target is not visible, in a collection that is not deleted.
pub async fn passage_chunks(
    conn: &impl Conn,
    workspace: WorkspaceId,
    chunk: ChunkId,
    visibility: Visibility,
) -> Result<Vec<ChunkId>> {
    let mut parameters = Parameters::default();
    let (workspace, chunk) = (parameters.bind(workspace), parameters.bind(chunk));
    let visible = visibility.condition(&mut parameters);
    let found = parameters.into_statement(format!(
        "select other.id from chunk c
         join target t on t.workspace_id = c.workspace_id and t.id = c.target_id and {visible}
         join collection k on k.workspace_id = t.workspace_id and k.id = t.collection_id and k.deleted_at is null
         join target of_file on of_file.workspace_id = c.workspace_id and of_file.file_id = c.file_id
             and of_file.version_id = c.version_id
         join chunk other on other.workspace_id = c.workspace_id and other.target_id = of_file.id
             and (other.id = c.id or of_file.id <> c.target_id
                 and (other.start_byte, other.end_byte, other.text) = (c.start_byte, c.end_byte, c.text))
         where c.workspace_id = {workspace} and c.id = {chunk} and not c.disabled"
    ));
    sql::all_values(conn, found).await
}

/// The vectors of a chunk, in each space that it has one in.
pub async fn chunk_vectors(conn: &impl Conn, workspace: WorkspaceId, chunk: ChunkId) -> Result<Vec<SpaceVector>> {
    let vectors = raw_sql!(
        Postgres,
        "select e.space_id, space.quantisation, e.vector::vector as vector
         from embedding e join embedding_space space on space.id = e.space_id
         where e.workspace_id = {workspace} and e.chunk_id = {chunk} order by e.space_id"
    );
    space_vectors(conn, vectors).await
}

/// The mean vector of a file's chunks that search finds, in each space of these collections.
pub async fn file_vectors(
    conn: &impl Conn,
    workspace: WorkspaceId,
    file: FileId,
    collections: &[CollectionId],
    visibility: Visibility,
) -> Result<Vec<SpaceVector>> {
    let mut parameters = Parameters::default();
    let (workspace, file) = (parameters.bind(workspace), parameters.bind(file));
    let collections = parameters.bind(collections.iter().map(|id| id.0).collect::<Vec<_>>());
    let visible = visibility.condition(&mut parameters);
    let enabled = is_enabled("e.chunk_id", &workspace);
    // A mean without length is that of opposite vectors: nothing is similar to it.
    let vectors = parameters.into_statement(format!(
        "select mean.space_id, space.quantisation, l2_normalize(mean.vector)::vector as vector
         from (
             select e.space_id, avg(e.vector)::vector as vector
             from target t
             join embedding e on e.workspace_id = t.workspace_id and e.target_id = t.id
             where t.workspace_id = {workspace} and t.file_id = {file} and {visible} and {enabled} and e.space_id in (
                 select space_id from collection
                 where workspace_id = {workspace} and deleted_at is null and id = any({collections}::uuid[]))
             group by e.space_id) mean
         join embedding_space space on space.id = mean.space_id
         where vector_norm(mean.vector) > 0
         order by mean.space_id"
    ));
    space_vectors(conn, vectors).await
}

async fn space_vectors(conn: &impl Conn, statement: sea_orm::Statement) -> Result<Vec<SpaceVector>> {
    let rows: Vec<Row> = sql::all(conn, statement).await?;
    let vector =
        |Row { space_id, quantisation, vector }| SpaceVector { space: space_id, quantisation, vector: vector.to_vec() };
    Ok(rows.into_iter().map(vector).collect())
}
