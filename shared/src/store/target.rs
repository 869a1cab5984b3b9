//! Targets: the rows that sinks have written for items. They become visible to search together, and are deleted together.
//!
//! Functions that take an item expect that the transaction holds the lock of its file ([`super::locks::lock_item`]).

mod superseded;

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, raw_sql,
    sea_query::{ExprTrait, LockType, OnConflict},
};

pub use self::superseded::{delete_expired, expired};
use super::{Conn, Error, Result, Tx, history, sql};
use crate::{
    entity::target::{ActiveModel, Column, Entity},
    id::{CollectionId, FileId, ItemId, PipelineId, TargetId, VersionId, WorkspaceId},
    pipeline::progress::Replaces,
};

/// A target to be opened.
#[derive(Clone, Copy, Debug)]
pub struct NewTarget<'a> {
    /// The collection that the sink writes to.
    pub collection: CollectionId,
    /// The pipeline; `None`: a run of a definition that is not stored.
    pub pipeline: Option<PipelineId>,
    /// The id of the sink in the definition.
    pub node: &'a str,
    /// The item.
    pub item: ItemId,
    /// The item's file.
    pub file: FileId,
    /// The item's version of the file.
    pub version: VersionId,
}

/// The target of an item and a sink, which search does not read until [`publish`]. The first call adds it; it stays locked
/// until the transaction ends.
pub async fn open(tx: &Tx, workspace: WorkspaceId, new: &NewTarget<'_>) -> Result<TargetId> {
    let id = TargetId::new();
    let row = ActiveModel {
        workspace_id: Set(workspace),
        id: Set(id),
        collection_id: Set(new.collection),
        pipeline_id: Set(new.pipeline),
        node: Set(new.node.to_owned()),
        item_id: Set(Some(new.item)),
        file_id: Set(new.file),
        version_id: Set(new.version),
        ..ActiveModel::default()
    };
    let unless_open = OnConflict::columns([Column::WorkspaceId, Column::ItemId, Column::Node]).do_nothing().to_owned();
    match Entity::insert(row).on_conflict(unless_open).exec_without_returning(tx).await {
        Ok(0) | Err(Error::RecordNotInserted) => {}
        Ok(_) => return Ok(id),
        Err(error) => return Err(error),
    }
    let open = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::ItemId.eq(new.item))
        .filter(Column::Node.eq(new.node))
        .lock(LockType::NoKeyUpdate);
    open.into_tuple().one(tx).await?.ok_or_else(|| Error::RecordNotFound("the target".to_owned()))
}

/// The targets of an item, the oldest first.
pub async fn of_item(conn: &impl Conn, workspace: WorkspaceId, item: ItemId) -> Result<Vec<TargetId>> {
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::ItemId.eq(item))
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(conn)
        .await
}

/// Rows that pipelines have written for a file. Most nodes write few kinds, and the end of an item asks once for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Whether there are targets.
    pub targets: bool,
    /// Whether the number of chunks of the version is another than none, or unknown.
    pub chunks: bool,
    /// Whether files were made of it.
    pub files: bool,
    /// Whether sinks have written outside.
    pub external: bool,
}

/// The rows for the files of items, of any pipeline, by version.
pub async fn written(
    tx: &Tx,
    workspace: WorkspaceId,
    versions: &[(FileId, VersionId)],
) -> Result<HashMap<VersionId, Written>> {
    if versions.is_empty() {
        return Ok(HashMap::new());
    }
    let (files, versions): (Vec<FileId>, Vec<VersionId>) = versions.iter().copied().unzip();
    // Limits instead of `exists`, for which the planner may read all rows of the tenant.
    let written = raw_sql!(
        Postgres,
        "select given.version_id, own.found, chunks.found, made.found, outside.found
         from unnest({files}::uuid[], {versions}::uuid[]) given (file_id, version_id)
         cross join lateral (
             select count(*) > 0 as found from (
                 select from target where workspace_id = {workspace} and file_id = given.file_id limit 1) one) own
         cross join lateral (
             select count(*) > 0 as found from (
                 select from file_version
                 where workspace_id = {workspace} and id = given.version_id and chunk_count is distinct from 0 limit 1) one) chunks
         cross join lateral (
             select count(*) > 0 as found from (
                 select from file where workspace_id = {workspace} and parent_id = given.file_id limit 1) one) made
         cross join lateral (
             select count(*) > 0 as found from (
                 select from external_target where workspace_id = {workspace} and file_id = given.file_id limit 1) one) outside"
    );
    let rows: Vec<(VersionId, bool, bool, bool, bool)> = sql::all_values(tx, written).await?;
    let written = rows.into_iter().map(|(version, targets, chunks, files, external)| {
        let written = Written { targets, chunks, files, external };
        (version, written)
    });
    Ok(written.collect())
}

#[derive(FromQueryResult)]
struct Source {
    file: FileId,
    version: VersionId,
    number: i32,
    pipeline: Option<PipelineId>,
}

/// Makes the item's targets visible to search, and removes those that other items of the same pipeline and file have
/// published at the nodes that it replaces, or at any node for an older version, or will publish for one, also where the item has
/// no target. Live ones stay for searches of the past, where their collection or a snapshot keeps them. If a newer version is
/// published already, the item's own targets are deleted instead.
pub async fn publish(tx: &Tx, workspace: WorkspaceId, item: ItemId, replaces: &Replaces) -> Result<()> {
    let kept = replaces.all_but.clone();
    let source = raw_sql!(
        Postgres,
        "select i.file_id as file, i.version_id as version, v.number, r.pipeline_id as pipeline
         from run_item i
         join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
         join file_version v on v.workspace_id = i.workspace_id and v.id = i.version_id
         where i.workspace_id = {workspace} and i.id = {item}"
    );
    let Some(Source { file, version, number, pipeline }) = sql::first(tx, source).await? else { return Ok(()) };
    let changed = raw_sql!(
        Postgres,
        "select t.id, t.item_id is not distinct from {item} as is_own, t.live and v.number > {number} as is_newer
         from target t join file_version v on v.workspace_id = t.workspace_id and v.id = t.version_id
         where t.workspace_id = {workspace} and t.file_id = {file} and t.pipeline_id is not distinct from {pipeline}
             and t.superseded_at is null
             and case when t.item_id is not distinct from {item} then not t.live
                 else v.number < {number} or t.live and (v.number > {number} or t.node <> all({kept}::text[])) end"
    );
    let changed: Vec<(TargetId, bool, bool)> = sql::all_values(tx, changed).await?;
    let (own, others): (Vec<_>, Vec<_>) = changed.into_iter().partition(|(_, is_own, _)| *is_own);
    if others.iter().any(|(_, _, is_newer)| *is_newer) {
        return discard(tx, workspace, item).await;
    }
    if !own.is_empty() || !others.is_empty() {
        let now = history::lock(tx, workspace).await?;
        superseded::replace(tx, workspace, others.into_iter().map(|(id, ..)| id).collect(), now).await?;
        let own: Vec<TargetId> = own.into_iter().map(|(id, ..)| id).collect();
        let live = raw_sql!(
            Postgres,
            "update target t set live = true, published_at = {now}, vector_count = (
                 select count(*) from embedding e
                 join collection c on c.workspace_id = e.workspace_id and c.space_id = e.space_id
                 where e.workspace_id = t.workspace_id and e.target_id = t.id and c.id = t.collection_id)
             where t.workspace_id = {workspace} and t.id = any({own})"
        );
        sql::execute(tx, live).await?;
    }
    let chunk_count = raw_sql!(
        Postgres,
        "update file_version set chunk_count = (
             select coalesce(sum(t.chunk_count), 0)::integer from target t
             where t.workspace_id = {workspace} and t.file_id = {file} and t.version_id = {version} and t.live)
         where workspace_id = {workspace} and id = {version}"
    );
    sql::execute(tx, chunk_count).await?;
    Ok(())
}

/// Whether vectors that an item has written are not of the spaces that their collection has by now, or none of its first one.
pub async fn has_other_vectors(tx: &Tx, workspace: WorkspaceId, item: ItemId) -> Result<bool> {
    let other = raw_sql!(
        Postgres,
        "select exists (
             select from target t
             join collection c on c.workspace_id = t.workspace_id and c.id = t.collection_id
             left join second_space second on second.workspace_id = t.workspace_id and second.collection_id = c.id
             cross join lateral (
                 select bool_or(e.space_id is distinct from c.space_id and e.space_id is distinct from second.space_id) as other,
                     bool_or(e.space_id = c.space_id) as own
                 from embedding e where e.workspace_id = t.workspace_id and e.target_id = t.id) vectors
             where t.workspace_id = {workspace} and t.item_id = {item} and (vectors.other or not vectors.own))"
    );
    Ok(sql::first_value(tx, other).await?.unwrap_or(false))
}

/// Deletes the targets of an item that failed or was cancelled.
pub async fn discard(tx: &Tx, workspace: WorkspaceId, item: ItemId) -> Result<()> {
    Entity::delete_many()
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::ItemId.eq(item))
        .filter(Column::Live.into_expr().not())
        .exec(tx)
        .await?;
    Ok(())
}

/// Removes the targets of the versions before these, as [`publish`] does: of files whose newest version no pipeline processes.
pub async fn remove_of_older_versions(tx: &Tx, workspace: WorkspaceId, versions: &[(FileId, VersionId)]) -> Result<()> {
    let (files, versions): (Vec<FileId>, Vec<VersionId>) = versions.iter().copied().unzip();
    let older = raw_sql!(
        Postgres,
        "select t.id
         from (
             select {workspace}::uuid as workspace_id, given.*
             from unnest({files}::uuid[], {versions}::uuid[]) given (file_id, version_id) offset 0) g
         join target t on (t.workspace_id, t.file_id) = (g.workspace_id, g.file_id)
         join file_version v on v.workspace_id = t.workspace_id and v.id = t.version_id
         join file_version newest on newest.workspace_id = g.workspace_id and newest.id = g.version_id
         where t.superseded_at is null and v.number < newest.number"
    );
    let older: Vec<TargetId> = sql::all_values(tx, older).await?;
    if older.is_empty() {
        return Ok(());
    }
    let now = history::lock(tx, workspace).await?;
    superseded::replace(tx, workspace, older, now).await
}

/// The numbers of chunks that search finds of versions, without those that have none.
pub async fn chunk_counts(
    tx: &Tx,
    workspace: WorkspaceId,
    versions: &[(FileId, VersionId)],
) -> Result<HashMap<VersionId, i64>> {
    let (files, versions): (Vec<FileId>, Vec<VersionId>) = versions.iter().copied().unzip();
    let chunks = raw_sql!(
        Postgres,
        "select t.version_id, sum(t.chunk_count)::bigint
         from (
             select {workspace}::uuid as workspace_id, given.*
             from unnest({files}::uuid[], {versions}::uuid[]) given (file_id, version_id) offset 0) g
         join target t on (t.workspace_id, t.file_id, t.version_id) = (g.workspace_id, g.file_id, g.version_id)
         where t.live group by t.version_id"
    );
    let chunks: Vec<(VersionId, i64)> = sql::all_values(tx, chunks).await?;
    Ok(chunks.into_iter().collect())
}

/// Hides everything that a pipeline has written, also from searches of the past. The worker deletes the rows. To be called
/// before the pipeline is deleted.
pub async fn delete_of_pipeline(tx: &Tx, workspace: WorkspaceId, pipeline: PipelineId) -> Result<()> {
    let lock = raw_sql!(
        Postgres,
        "select id from file where workspace_id = {workspace} and id in (
             select file_id from target where workspace_id = {workspace} and pipeline_id = {pipeline})
         order by id for no key update"
    );
    sql::execute(tx, lock).await?;
    let hidden = raw_sql!(
        Postgres,
        "update target set live = false, item_id = null, pipeline_id = null, published_at = null, superseded_at = null
         where workspace_id = {workspace} and pipeline_id = {pipeline}"
    );
    sql::execute(tx, hidden).await?;
    Ok(())
}

/// Deletes what a pipeline has written for a file, under the lock of the file.
pub async fn delete_of_file(tx: &Tx, workspace: WorkspaceId, pipeline: PipelineId, file: FileId) -> Result<()> {
    let targets = raw_sql!(
        Postgres,
        "select id, file_id from target
         where workspace_id = {workspace} and file_id = {file} and pipeline_id = {pipeline} order by id"
    );
    let targets = sql::all_values(tx, targets).await?;
    delete_all(tx, workspace, targets).await?;
    Ok(())
}

/// The workspace with the oldest target that [`delete_abandoned`] deletes.
pub async fn next_abandoned(conn: &impl Conn) -> Result<Option<WorkspaceId>> {
    let oldest = raw_sql!(
        Postgres,
        "select workspace_id from target where not live and item_id is null and superseded_at is null
         order by id limit 1"
    );
    sql::first_value(conn, oldest).await
}

/// Deletes up to `limit` targets of deleted pipelines, the oldest first, with their chunks and vectors. Returns their number.
pub async fn delete_abandoned(tx: &Tx, workspace: WorkspaceId, limit: i64) -> Result<u64> {
    let targets = raw_sql!(
        Postgres,
        "select id, file_id from target
         where workspace_id = {workspace} and not live and item_id is null and superseded_at is null
         order by id limit {limit}"
    );
    let targets = sql::all_values(tx, targets).await?;
    delete_all(tx, workspace, targets).await
}

/// Deletes up to `limit` targets of a deleted collection, with their chunks and vectors. Returns their number.
pub async fn delete_of_collection(
    tx: &Tx,
    workspace: WorkspaceId,
    collection: CollectionId,
    limit: i64,
) -> Result<u64> {
    let targets = raw_sql!(
        Postgres,
        "select id, file_id from target where workspace_id = {workspace} and collection_id = {collection}
         order by live, id limit {limit}"
    );
    let targets = sql::all_values(tx, targets).await?;
    delete_all(tx, workspace, targets).await
}

/// Deletes targets under the locks of their files, as everything else that writes to them.
async fn delete_all(tx: &Tx, workspace: WorkspaceId, targets: Vec<(TargetId, FileId)>) -> Result<u64> {
    let (targets, files): (Vec<TargetId>, Vec<FileId>) = targets.into_iter().unzip();
    let lock = raw_sql!(
        Postgres,
        "select id from file where workspace_id = {workspace} and id = any({files}) order by id for no key update"
    );
    sql::execute(tx, lock).await?;
    let deleted = raw_sql!(Postgres, "delete from target where workspace_id = {workspace} and id = any({targets})");
    sql::execute(tx, deleted).await
}

#[cfg(all(test, feature = "testing"))]
mod tests;
