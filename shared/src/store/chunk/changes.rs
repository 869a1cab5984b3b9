//! What members have decided about chunks. A decision belongs to a text of a file in a collection: all of its chunks with this text
//! have it, and those that indexing writes later get it.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QuerySelect, raw_sql};
use uuid::Uuid;

use super::{ChunkRow, NewVector, find, input_hash, insert_vectors};
use crate::{
    entity::chunk_change::{Column, Entity},
    id::{ChunkId, CollectionId, FileId, SpaceId, TargetId, WorkspaceId},
    store::{
        Conn, Result, Tx, locks,
        posting::{self, ChangedChunk},
        sql,
    },
};

/// The decisions about a file in a collection, by the hash of the text: whether search leaves it out, and the text in its place.
#[derive(Debug)]
pub(super) struct Changes(HashMap<Uuid, (bool, Option<String>)>);

/// The text of a new chunk.
#[derive(Debug)]
pub(super) struct ChunkText {
    /// The text that search reads.
    pub(super) text: String,
    /// The text of the source, if it is another.
    pub(super) original: Option<String>,
    /// Whether search leaves the chunk out.
    pub(super) is_disabled: bool,
}

impl Changes {
    /// What a chunk gets whose source has this text.
    pub(super) fn text_of(&self, source: &str) -> ChunkText {
        let change = if self.0.is_empty() { None } else { self.0.get(&input_hash(source)) };
        match change {
            None => ChunkText { text: source.to_owned(), original: None, is_disabled: false },
            Some((is_disabled, None)) => {
                ChunkText { text: source.to_owned(), original: None, is_disabled: *is_disabled }
            }
            Some((is_disabled, Some(text))) => {
                ChunkText { text: text.clone(), original: Some(source.to_owned()), is_disabled: *is_disabled }
            }
        }
    }
}

/// The decisions about a file in a collection. The file is locked, so that none of them is made meanwhile.
pub(super) async fn of_file(
    tx: &Tx,
    workspace: WorkspaceId,
    collection: CollectionId,
    file: FileId,
) -> Result<Changes> {
    let changes: Vec<(Uuid, bool, Option<String>)> = Entity::find()
        .select_only()
        .columns([Column::TextHash, Column::Disabled, Column::Text])
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::CollectionId.eq(collection))
        .filter(Column::FileId.eq(file))
        .into_tuple()
        .all(tx)
        .await?;
    Ok(Changes(changes.into_iter().map(|(hash, disabled, text)| (hash, (disabled, text))).collect()))
}

/// The number of a workspace's decisions.
pub async fn count_changes(conn: &impl Conn, workspace: WorkspaceId) -> Result<u64> {
    Entity::find().filter(Column::WorkspaceId.eq(workspace)).count(conn).await
}

/// Locks the file of a chunk, then reads the chunk. `None`: search reads no such chunk, or does not any more.
pub async fn lock(tx: &Tx, workspace: WorkspaceId, chunk: ChunkId) -> Result<Option<ChunkRow>> {
    let file = raw_sql!(Postgres, "select file_id from chunk where workspace_id = {workspace} and id = {chunk}");
    let Some(file) = sql::first_value::<FileId>(tx, file).await? else { return Ok(None) };
    if locks::lock_file(tx, workspace, file).await?.is_none() {
        return Ok(None);
    }
    find(tx, workspace, chunk).await
}

/// Sets whether search leaves out a chunk of a locked file ([`lock`]), and the others with its text: also those of the past, and
/// those that are not published yet.
pub async fn set_disabled(tx: &Tx, workspace: WorkspaceId, chunk: &ChunkRow, disabled: bool) -> Result<()> {
    let (collection, file, source) = (chunk.collection_id, chunk.file_id, chunk.source());
    let hash = input_hash(source);
    let decision = if disabled {
        raw_sql!(
            Postgres,
            "insert into chunk_change (workspace_id, collection_id, file_id, text_hash, disabled)
             values ({workspace}, {collection}, {file}, {hash}, true)
             on conflict (workspace_id, collection_id, file_id, text_hash) do update set disabled = true, updated_at = now()"
        )
    } else {
        raw_sql!(
            Postgres,
            "with deleted as (
                 delete from chunk_change where workspace_id = {workspace} and collection_id = {collection}
                     and file_id = {file} and text_hash = {hash} and text is null)
             update chunk_change set disabled = false, updated_at = now()
             where workspace_id = {workspace} and collection_id = {collection} and file_id = {file} and text_hash = {hash}
                 and text is not null"
        )
    };
    sql::execute(tx, decision).await?;
    let chunks = raw_sql!(
        Postgres,
        "update chunk c set disabled = {disabled}, revision = c.revision + 1
         from target t
         where t.workspace_id = {workspace} and t.collection_id = {collection} and t.file_id = {file}
             and c.workspace_id = t.workspace_id and c.target_id = t.id and coalesce(c.original_text, c.text) = {source}
             and c.disabled <> {disabled}"
    );
    sql::execute(tx, chunks).await?;
    Ok(())
}

/// A chunk that gets another text.
#[derive(Debug, FromQueryResult)]
struct Replaced {
    id: ChunkId,
    target_id: TargetId,
    text: String,
    is_edited: bool,
    /// The postings of its text.
    document: Option<i64>,
    /// Those of the text of the source, while its text is another.
    source_document: Option<i64>,
    /// Those of a text that it has no more, among the postings of other chunks.
    dead_document: Option<i64>,
}

impl Replaced {
    /// Writes the postings of the text `new`, and removes those of the text that it has.
    async fn index(
        mut self,
        tx: &Tx,
        workspace: WorkspaceId,
        collection: CollectionId,
        (new, is_source): (&str, bool),
    ) -> Result<Self> {
        // Maintenance adds the postings of chunks that are older than the index.
        let Some(document) = self.document else { return Ok(self) };
        let is_first = self.source_document.is_none() && self.dead_document.is_none();
        let own = (!is_first).then_some(document);
        let chunk = ChangedChunk { collection, target: self.target_id, own, before: &self.text };
        self.document = match self.source_document {
            Some(source) if is_source => {
                posting::restore(tx, workspace, chunk, new).await?;
                self.source_document = None;
                Some(source)
            }
            _ => Some(posting::replace(tx, workspace, chunk, new).await?),
        };
        if is_first {
            let left = if self.is_edited { &mut self.dead_document } else { &mut self.source_document };
            *left = Some(document);
        }
        Ok(self)
    }
}

/// Sets the text of a chunk of a locked file ([`lock`]), and of the others whose source has the same text; `None`: the text of the
/// source. Words find the new text from now on. Returns the chunks that had vectors, which are those of the text before, and are
/// deleted.
pub async fn set_text(tx: &Tx, workspace: WorkspaceId, chunk: &ChunkRow, text: Option<&str>) -> Result<Vec<ChunkId>> {
    let (collection, file, source) = (chunk.collection_id, chunk.file_id, chunk.source());
    let hash = input_hash(source);
    let decision = match text {
        Some(text) => raw_sql!(
            Postgres,
            "insert into chunk_change (workspace_id, collection_id, file_id, text_hash, disabled, text)
             values ({workspace}, {collection}, {file}, {hash}, false, {text})
             on conflict (workspace_id, collection_id, file_id, text_hash)
                 do update set text = excluded.text, updated_at = now()"
        ),
        None => raw_sql!(
            Postgres,
            "with deleted as (
                 delete from chunk_change where workspace_id = {workspace} and collection_id = {collection}
                     and file_id = {file} and text_hash = {hash} and not disabled)
             update chunk_change set text = null, updated_at = now()
             where workspace_id = {workspace} and collection_id = {collection} and file_id = {file} and text_hash = {hash}
                 and disabled"
        ),
    };
    sql::execute(tx, decision).await?;
    let new = text.unwrap_or(source);
    let replaced = raw_sql!(
        Postgres,
        "select c.id, c.target_id, c.text, c.original_text is not null as is_edited, c.document, c.source_document,
             c.dead_document
         from target t join chunk c on c.workspace_id = t.workspace_id and c.target_id = t.id
         where t.workspace_id = {workspace} and t.collection_id = {collection} and t.file_id = {file}
             and coalesce(c.original_text, c.text) = {source} and c.text <> {new}
         order by c.id"
    );
    let replaced: Vec<Replaced> = sql::all(tx, replaced).await?;
    let original = text.map(|_| source);
    let mut ids = Vec::with_capacity(replaced.len());
    for chunk in replaced {
        let chunk = chunk.index(tx, workspace, collection, (new, text.is_none())).await?;
        let Replaced { id, document, source_document, dead_document, .. } = chunk;
        let written = raw_sql!(
            Postgres,
            "update chunk set text = {new}, original_text = {original}, document = {document},
                 source_document = {source_document}, dead_document = {dead_document}, revision = revision + 1
             where workspace_id = {workspace} and id = {id}"
        );
        sql::execute(tx, written).await?;
        ids.push(id);
    }
    delete_vectors(tx, workspace, ids).await
}

/// Deletes the vectors of chunks. Returns those that had any.
async fn delete_vectors(tx: &Tx, workspace: WorkspaceId, chunks: Vec<ChunkId>) -> Result<Vec<ChunkId>> {
    let deleted = raw_sql!(
        Postgres,
        "with deleted as (
             delete from embedding where workspace_id = {workspace} and chunk_id = any({chunks}::uuid[])
             returning chunk_id)
         select distinct chunk_id from deleted order by chunk_id"
    );
    let had_vectors: Vec<ChunkId> = sql::all_values(tx, deleted).await?;
    if !had_vectors.is_empty() {
        count_vectors(tx, workspace, had_vectors.clone()).await?;
    }
    Ok(had_vectors)
}

/// Counts the vectors of the published targets of chunks anew.
async fn count_vectors(tx: &Tx, workspace: WorkspaceId, chunks: Vec<ChunkId>) -> Result<()> {
    let counted = raw_sql!(
        Postgres,
        "update target t set vector_count = (
             select count(*) from embedding e
             join collection k on k.workspace_id = e.workspace_id and k.space_id = e.space_id
             where e.workspace_id = t.workspace_id and e.target_id = t.id and k.id = t.collection_id)
         where t.workspace_id = {workspace} and t.published_at is not null and t.id in (
             select target_id from chunk where workspace_id = {workspace} and id = any({chunks}::uuid[]))"
    );
    sql::execute(tx, counted).await?;
    Ok(())
}

/// An edited chunk, or one whose edited text was withdrawn, of which the vectors are missing.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `chunk`")]
pub struct EditedChunk {
    pub id: ChunkId,
    pub target_id: TargetId,
    pub file_id: FileId,
    pub prefix: Option<String>,
    pub text: String,
    pub tokens: i32,
}

/// Those of these chunks that exist, by their ids.
pub async fn edited(conn: &impl Conn, workspace: WorkspaceId, chunks: Vec<ChunkId>) -> Result<Vec<EditedChunk>> {
    let edited = raw_sql!(
        Postgres,
        "select id, target_id, file_id, prefix, text, tokens from chunk
         where workspace_id = {workspace} and id = any({chunks}::uuid[]) order by id"
    );
    sql::all(conn, edited).await
}

/// As [`edited`], of chunks that were read before: locks their files, so that they stay as they are until the transaction ends.
pub async fn lock_edited(tx: &Tx, workspace: WorkspaceId, read: &[EditedChunk]) -> Result<Vec<EditedChunk>> {
    let files: Vec<FileId> = read.iter().map(|chunk| chunk.file_id).collect();
    let lock = raw_sql!(
        Postgres,
        "select id from file where workspace_id = {workspace} and id = any({files}::uuid[])
         order by id for no key update"
    );
    sql::execute(tx, lock).await?;
    edited(tx, workspace, read.iter().map(|chunk| chunk.id).collect()).await
}

/// Sets the vectors of edited chunks whose files are locked ([`lock_edited`]), in a space. A job that fills the space may have written
/// those of the texts before.
pub async fn set_edited_vectors(
    tx: &Tx,
    workspace: WorkspaceId,
    space: SpaceId,
    vectors: Vec<(TargetId, NewVector)>,
) -> Result<()> {
    let chunks: Vec<ChunkId> = vectors.iter().map(|(_, vector)| vector.chunk).collect();
    let replaced = raw_sql!(
        Postgres,
        "delete from embedding
         where workspace_id = {workspace} and space_id = {space} and chunk_id = any({chunks}::uuid[])"
    );
    sql::execute(tx, replaced).await?;
    for (target, vector) in vectors {
        insert_vectors(tx, workspace, space, target, vec![vector]).await?;
    }
    count_vectors(tx, workspace, chunks).await
}
