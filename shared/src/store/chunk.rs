//! Chunks and their vectors.

mod changes;
mod read;

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    ops::Range,
};

use pgvector::Vector;
use sea_orm::{ActiveValue::Set, EntityTrait, FromQueryResult, raw_sql, sea_query::OnConflict};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use self::changes::ChunkText;
pub use self::{
    changes::{EditedChunk, count_changes, edited, lock, lock_edited, set_disabled, set_edited_vectors, set_text},
    read::{ChunkFilter, ChunkPosition, ChunkRow, detect_languages, find, list, vectors},
};
use super::{Conn, Error, Result, Tx, posting, sql};
use crate::{
    entity::{chunk, embedding},
    id::{ChunkId, CollectionId, FileId, SpaceId, TargetId, VersionId, WorkspaceId},
};

/// Rows of one insert; PostgreSQL accepts 65,535 parameters per statement.
const INSERT_BATCH_ROWS: usize = 2_000;

/// A chunk to be added.
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
    /// The contextual prefix, which is embedded before the text.
    pub prefix: Option<String>,
}

/// The text that is embedded: the contextual prefix, a blank line, and the text.
#[must_use]
pub fn input<'a>(prefix: Option<&str>, text: &'a str) -> Cow<'a, str> {
    match prefix {
        Some(prefix) => format!("{prefix}\n\n{text}").into(),
        None => text.into(),
    }
}

/// Chunks that were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    /// Their ids, in their order.
    pub ids: Vec<ChunkId>,
    /// Those that have another text than their source, of which the vector is another one.
    pub edited: HashSet<ChunkId>,
}

/// Adds chunks to a target, each with its ordinal, which is unique in the target, and the postings of their words. What members
/// have decided about the same text of the file in the collection holds for them, too.
///
/// # Errors
/// [`Error::RecordNotFound`] if there is no such target.
pub async fn insert(
    tx: &Tx,
    workspace: WorkspaceId,
    target: TargetId,
    chunks: Vec<(i32, NewChunk)>,
) -> Result<Inserted> {
    let count = i32::try_from(chunks.len()).unwrap_or(i32::MAX);
    let counted = raw_sql!(
        Postgres,
        "update target set chunk_count = chunk_count + {count} where workspace_id = {workspace} and id = {target}
         returning file_id, version_id, collection_id"
    );
    let written: Option<(FileId, VersionId, CollectionId)> = sql::first_value(tx, counted).await?;
    let (file, version, collection) = written.ok_or_else(|| Error::RecordNotFound("the target".to_owned()))?;
    let changes = changes::of_file(tx, workspace, collection, file).await?;
    let ids: Vec<_> = chunks.iter().map(|_| ChunkId::new()).collect();
    let texts: Vec<ChunkText> = chunks.iter().map(|(_, new)| changes.text_of(&new.text)).collect();
    let edited = ids.iter().zip(&texts).filter(|(_, text)| text.original.is_some()).map(|(id, _)| *id).collect();
    let indexed = texts.iter().map(|text| text.text.clone()).collect();
    let documents = posting::insert(tx, workspace, collection, target, indexed).await?;
    let rows = chunks.into_iter().zip(texts).zip(&ids).zip(documents);
    let mut rows = rows.map(|((((ordinal, new), text), id), document)| chunk::ActiveModel {
        workspace_id: Set(workspace),
        id: Set(*id),
        target_id: Set(target),
        file_id: Set(file),
        version_id: Set(version),
        ordinal: Set(ordinal),
        disabled: Set(text.is_disabled),
        text: Set(text.text),
        original_text: Set(text.original),
        start_byte: Set(i64::try_from(new.bytes.start).unwrap_or(i64::MAX)),
        end_byte: Set(i64::try_from(new.bytes.end).unwrap_or(i64::MAX)),
        page: Set(new.page.and_then(|page| i32::try_from(page).ok())),
        heading_path: Set(new.heading_path),
        tokens: Set(i32::try_from(new.tokens).unwrap_or(i32::MAX)),
        document: Set(Some(document)),
        prefix: Set(new.prefix),
    });
    loop {
        let batch: Vec<_> = rows.by_ref().take(INSERT_BATCH_ROWS).collect();
        if batch.is_empty() {
            return Ok(Inserted { ids, edited });
        }
        chunk::Entity::insert_many(batch).exec_without_returning(tx).await?;
    }
}

/// A vector to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct NewVector {
    /// Its chunk.
    pub chunk: ChunkId,
    /// The [`input_hash`] of the chunk's text.
    pub input_hash: Uuid,
    /// The vector, of length one.
    pub vector: Vec<f32>,
}

/// Identifies the input of a vector within its space: the first half of the SHA-256 of the embedded text, its contextual prefix
/// included. The prefix of the space is a property of the space.
#[must_use]
pub fn input_hash(input: &str) -> Uuid {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(input)[..16]);
    Uuid::from_bytes(half)
}

/// Adds vectors of a target's chunks in a space; existing ones stay.
pub async fn insert_vectors(
    tx: &Tx,
    workspace: WorkspaceId,
    space: SpaceId,
    target: TargetId,
    vectors: Vec<NewVector>,
) -> Result<()> {
    let mut rows = vectors.into_iter().map(|new| embedding::ActiveModel {
        workspace_id: Set(workspace),
        space_id: Set(space),
        target_id: Set(target),
        chunk_id: Set(new.chunk),
        input_hash: Set(new.input_hash),
        vector: Set(Vector::from(new.vector)),
    });
    loop {
        let batch: Vec<_> = rows.by_ref().take(INSERT_BATCH_ROWS).collect();
        if batch.is_empty() {
            return Ok(());
        }
        let unless_known = OnConflict::columns([
            embedding::Column::WorkspaceId,
            embedding::Column::SpaceId,
            embedding::Column::TargetId,
            embedding::Column::ChunkId,
        ]);
        embedding::Entity::insert_many(batch)
            .on_conflict(unless_known.clone().do_nothing().to_owned())
            .exec_without_returning(tx)
            .await?;
    }
}

#[derive(FromQueryResult)]
struct KnownVector {
    input_hash: Uuid,
    vector: Vector,
}

/// The vectors that the workspace already has of these inputs in a space, by [`input_hash`]: also in one that differs by its index
/// only.
pub async fn find_vectors(
    conn: &impl Conn,
    workspace: WorkspaceId,
    space: SpaceId,
    hashes: &[Uuid],
) -> Result<HashMap<Uuid, Vec<f32>>> {
    let hashes = hashes.to_vec();
    let known = raw_sql!(
        Postgres,
        "select input.hash as input_hash, known.vector::vector as vector
         from (select distinct unnest({hashes}::uuid[]) as hash) input
         cross join lateral (
             select e.vector from embedding e
             where e.workspace_id = {workspace} and e.input_hash = input.hash and e.space_id = any(array(
                 select other.id from embedding_space space
                 join embedding_space other
                     on (other.provider, other.model, other.dimensions, other.query_prefix, other.passage_prefix)
                         = (space.provider, space.model, space.dimensions, space.query_prefix, space.passage_prefix)
                         and other.connection_id is not distinct from space.connection_id
                 where space.id = {space}))
             limit 1) known"
    );
    let known: Vec<KnownVector> = sql::all(conn, known).await?;
    Ok(known.into_iter().map(|row| (row.input_hash, row.vector.to_vec())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_hash_is_half_of_the_sha256_of_the_input() {
        // The SHA-256 of `abc` begins with these bytes.
        let expected: Uuid = "ba7816bf-8f01-cfea-4141-40de5dae2223".parse().unwrap();
        assert_eq!(input_hash("abc"), expected);
    }
}
