//! What members have decided about chunks. A decision belongs to a text of a file in a collection: all of its chunks with this text
//! have it, and those that indexing writes later get it.

use std::collections::HashSet;

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, raw_sql};
use uuid::Uuid;

use super::{ChunkRow, find, input_hash};
use crate::{
    entity::chunk_change::{Column, Entity},
    id::{ChunkId, CollectionId, FileId, WorkspaceId},
    store::{Conn, Result, Tx, locks, sql},
};

/// The decisions about a file in a collection.
#[derive(Debug)]
pub(super) struct Changes {
    /// The hashes of the texts that search leaves out.
    disabled: HashSet<Uuid>,
}

impl Changes {
    /// Whether search leaves out chunks with this text.
    pub(super) fn is_disabled(&self, text: &str) -> bool {
        !self.disabled.is_empty() && self.disabled.contains(&input_hash(text))
    }
}

/// The decisions about a file in a collection. The file is locked, so that none of them is made meanwhile.
pub(super) async fn of_file(
    tx: &Tx,
    workspace: WorkspaceId,
    collection: CollectionId,
    file: FileId,
) -> Result<Changes> {
    let disabled: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::TextHash)
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::CollectionId.eq(collection))
        .filter(Column::FileId.eq(file))
        .filter(Column::Disabled.eq(true))
        .into_tuple()
        .all(tx)
        .await?;
    Ok(Changes { disabled: disabled.into_iter().collect() })
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
    let (collection, file, text) = (chunk.collection_id, chunk.file_id, chunk.text.as_str());
    let hash = input_hash(text);
    let decision = if disabled {
        raw_sql!(
            Postgres,
            "insert into chunk_change (workspace_id, collection_id, file_id, text_hash, disabled)
             values ({workspace}, {collection}, {file}, {hash}, true) on conflict do nothing"
        )
    } else {
        raw_sql!(
            Postgres,
            "delete from chunk_change where workspace_id = {workspace} and collection_id = {collection}
                 and file_id = {file} and text_hash = {hash}"
        )
    };
    sql::execute(tx, decision).await?;
    let chunks = raw_sql!(
        Postgres,
        "update chunk c set disabled = {disabled}, revision = c.revision + 1
         from target t
         where t.workspace_id = {workspace} and t.collection_id = {collection} and t.file_id = {file}
             and c.workspace_id = t.workspace_id and c.target_id = t.id and c.text = {text} and c.disabled <> {disabled}"
    );
    sql::execute(tx, chunks).await?;
    Ok(())
}
