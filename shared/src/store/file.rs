//! Files, their versions and their blobs.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, JoinType, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    RelationTrait, Select, SelectExt, UpdateMany, raw_sql,
    sea_query::{Expr, ExprTrait, LockType, OnConflict, Query},
};

use super::{Conn, Result, Tx, locks, sql};
use crate::{
    domain::{
        failure::{Failure, FailureCode},
        file::FileState,
    },
    entity::{blob, file, file_version, run_item},
    id::{AccountId, BlobId, FileId, VersionId, WorkspaceId},
};

/// Content in the object store.
#[derive(Clone, Copy, Debug)]
pub struct StoredBlob {
    /// The id under which it is stored.
    pub id: BlobId,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
    /// Size of the content.
    pub bytes: u64,
}

/// Registers stored content and returns the blob id to refer to. Identical content of a workspace shares one blob: if the
/// returned id differs from the given one, the given object is a duplicate and can be deleted.
pub async fn register_blob(tx: &Tx, workspace: WorkspaceId, blob: StoredBlob) -> Result<BlobId> {
    let row = blob::ActiveModel {
        workspace_id: Set(workspace),
        id: Set(blob.id),
        sha256: Set(blob.sha256.to_vec()),
        bytes: Set(size(blob.bytes)),
        ..Default::default()
    };
    // The update locks the row, so that garbage collection cannot delete the blob before a version refers to it.
    let mark_used = OnConflict::columns([blob::Column::WorkspaceId, blob::Column::Sha256])
        .value(blob::Column::UsedAt, sql::now())
        .to_owned();
    Ok(blob::Entity::insert(row).on_conflict(mark_used).exec_with_returning(tx).await?.id)
}

fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A file to be added, with its first version.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `file` and `file_version`")]
pub struct NewFile {
    pub name: String,
    pub media_type: String,
    pub blob: StoredBlob,
    pub created_by: Option<AccountId>,
}

/// Adds a file and its first version; `blob` must be registered.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, blob: BlobId, file: &NewFile) -> Result<(FileId, VersionId)> {
    let (id, version) = (FileId::new(), VersionId::new());
    let new_file = file::ActiveModel {
        workspace_id: Set(workspace),
        id: Set(id),
        name: Set(file.name.clone()),
        version_id: Set(version),
        created_by: Set(file.created_by),
        ..Default::default()
    };
    file::Entity::insert(new_file).exec_without_returning(tx).await?;
    let new_version = file_version::ActiveModel {
        workspace_id: Set(workspace),
        id: Set(version),
        file_id: Set(id),
        number: Set(1),
        blob_id: Set(blob),
        bytes: Set(size(file.blob.bytes)),
        sha256: Set(file.blob.sha256.to_vec()),
        media_type: Set(file.media_type.clone()),
        ..Default::default()
    };
    file_version::Entity::insert(new_version).exec_without_returning(tx).await?;
    Ok((id, version))
}

/// A file with its newest version and the progress of that version.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `file`, `file_version` and `run_item`")]
pub struct FileView {
    pub id: FileId,
    pub name: String,
    pub tags: Vec<String>,
    pub metadata: serde_json::Value,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version_id: VersionId,
    pub number: i32,
    pub blob_id: BlobId,
    pub text_blob_id: Option<BlobId>,
    pub bytes: i64,
    pub sha256: Vec<u8>,
    pub media_type: String,
    pub page_count: Option<i32>,
    pub chunk_count: Option<i32>,
    pub state: FileState,
    pub failure_code: Option<FailureCode>,
    pub failure_detail: Option<String>,
    pub stage: Option<String>,
    pub done: Option<i32>,
    pub total: Option<i32>,
}

impl FileView {
    /// The reason why the version failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.failure_code.map(|code| Failure::new(code, self.failure_detail.clone().unwrap_or_default()))
    }
}

fn select_views(workspace: WorkspaceId) -> Select<file::Entity> {
    const ITEM: &str = "item";
    let newest_item = Query::select()
        .columns([run_item::Column::Stage, run_item::Column::Done, run_item::Column::Total])
        .from(run_item::Entity)
        .and_where(run_item::Column::WorkspaceId.into_expr().equals((file::Entity, file::Column::WorkspaceId)))
        .and_where(run_item::Column::VersionId.into_expr().equals((file::Entity, file::Column::VersionId)))
        .order_by((run_item::Entity, run_item::Column::Id), Order::Desc)
        .limit(1)
        .take();
    let mut select = file::Entity::find()
        .select_only()
        .columns([
            file::Column::Id,
            file::Column::Name,
            file::Column::Tags,
            file::Column::Metadata,
            file::Column::CreatedAt,
            file::Column::UpdatedAt,
            file::Column::VersionId,
        ])
        .columns([
            file_version::Column::Number,
            file_version::Column::BlobId,
            file_version::Column::TextBlobId,
            file_version::Column::Bytes,
            file_version::Column::Sha256,
            file_version::Column::MediaType,
            file_version::Column::PageCount,
            file_version::Column::ChunkCount,
            file_version::Column::State,
            file_version::Column::FailureCode,
            file_version::Column::FailureDetail,
        ])
        .exprs(
            [run_item::Column::Stage, run_item::Column::Done, run_item::Column::Total]
                .map(|column| Expr::col((ITEM, column))),
        )
        .join(JoinType::InnerJoin, file::Relation::Version.def())
        .filter(file::Column::WorkspaceId.eq(workspace));
    QueryTrait::query(&mut select).join_lateral(JoinType::LeftJoin, newest_item, ITEM, Expr::cust("true"));
    select
}

/// One file.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, file: FileId) -> Result<Option<FileView>> {
    select_views(workspace).filter(file::Column::Id.eq(file)).into_model().one(conn).await
}

/// Files before `before`, newest first, at most `limit`.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    before: Option<FileId>,
    limit: i64,
) -> Result<Vec<FileView>> {
    select_views(workspace)
        .apply_if(before, |select, before| select.filter(file::Column::Id.lt(before)))
        .order_by_desc(file::Column::Id)
        .limit(sql::row_limit(limit))
        .into_model()
        .all(conn)
        .await
}

/// Deletes a file with its versions, runs, chunks and embeddings. Garbage collection deletes its blobs, and its jobs end
/// when they do not find it. Returns whether the file existed.
pub async fn delete(tx: &Tx, workspace: WorkspaceId, file: FileId) -> Result<bool> {
    let Some(runs) = locks::lock_for_deletion(tx, workspace, file).await? else { return Ok(false) };
    let runs_of_file_alone = raw_sql!(
        Postgres,
        "delete from run r where r.workspace_id = {workspace} and r.id = any({runs})
           and not exists (
               select from run_item o
               where o.workspace_id = r.workspace_id and o.run_id = r.id and o.file_id <> {file})"
    );
    sql::execute(tx, runs_of_file_alone).await?;
    let deleted = file::Entity::delete_by_id((workspace, file)).exec(tx).await?;
    Ok(deleted.rows_affected == 1)
}

/// The content of a version as it was uploaded.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `file` and `file_version`")]
pub struct VersionSource {
    pub name: String,
    pub blob_id: BlobId,
    pub bytes: i64,
    pub sha256: Vec<u8>,
    pub media_type: String,
}

/// The uploaded content of a version, and its declared type.
pub async fn source(conn: &impl Conn, workspace: WorkspaceId, version: VersionId) -> Result<Option<VersionSource>> {
    use file_version::Column;
    file_version::Entity::find_by_id((workspace, version))
        .select_only()
        .column(file::Column::Name)
        .columns([Column::BlobId, Column::Bytes, Column::Sha256, Column::MediaType])
        .join(JoinType::InnerJoin, file_version::Relation::File.def())
        .into_model()
        .one(conn)
        .await
}

fn update_version(workspace: WorkspaceId, version: VersionId) -> UpdateMany<file_version::Entity> {
    file_version::Entity::update_many()
        .col_expr(file_version::Column::UpdatedAt, sql::now())
        .filter(file_version::Column::WorkspaceId.eq(workspace))
        .filter(file_version::Column::Id.eq(version))
}

/// The results of extraction.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `file_version`")]
pub struct Extraction {
    pub media_type: String,
    pub text_blob_id: BlobId,
    pub page_count: Option<u32>,
}

/// Stores the results of extraction.
pub async fn set_extraction(
    tx: &Tx,
    workspace: WorkspaceId,
    version: VersionId,
    extraction: &Extraction,
) -> Result<()> {
    let extracted = file_version::ActiveModel {
        media_type: Set(extraction.media_type.clone()),
        text_blob_id: Set(Some(extraction.text_blob_id)),
        page_count: Set(extraction.page_count.and_then(|pages| i32::try_from(pages).ok())),
        ..Default::default()
    };
    update_version(workspace, version).set(extracted).exec(tx).await?;
    Ok(())
}

/// Sets the state of a version; `failure` is set exactly for [`FileState::Failed`].
pub async fn set_state(
    tx: &Tx,
    workspace: WorkspaceId,
    version: VersionId,
    state: FileState,
    failure: Option<&Failure>,
) -> Result<()> {
    let changed = file_version::ActiveModel {
        state: Set(state),
        failure_code: Set(failure.map(|failure| failure.code)),
        failure_detail: Set(failure.map(|failure| failure.detail.clone())),
        ..Default::default()
    };
    update_version(workspace, version).set(changed).exec(tx).await?;
    Ok(())
}

/// Makes a version searchable and deletes the chunks of the version before it. Returns the seconds since the version's
/// upload, or `None` if a newer version is live already.
pub async fn make_live(tx: &Tx, workspace: WorkspaceId, file: FileId, version: VersionId) -> Result<Option<f64>> {
    let live = raw_sql!(
        Postgres,
        "update file f set live_version_id = v.id, updated_at = now()
         from file_version v
         where f.workspace_id = {workspace} and f.id = {file} and v.workspace_id = f.workspace_id and v.id = {version}
           and not exists (
               select from file_version live
               where live.workspace_id = f.workspace_id and live.id = f.live_version_id and live.number > v.number)
         returning extract(epoch from clock_timestamp() - v.created_at)::float8"
    );
    let seconds = sql::first_value(tx, live).await?;
    let older_chunks = raw_sql!(
        Postgres,
        "delete from chunk c using file f
         where f.workspace_id = {workspace} and f.id = {file} and c.workspace_id = f.workspace_id and c.file_id = f.id
           and c.version_id <> f.live_version_id and c.version_id <> f.version_id"
    );
    sql::execute(tx, older_chunks).await?;
    Ok(seconds)
}

/// Deletes up to `limit` blob rows without references that were not used for `age_seconds`. Once the transaction commits,
/// their objects can be deleted.
pub async fn delete_unused_blobs(tx: &Tx, age_seconds: f64, limit: i64) -> Result<Vec<(WorkspaceId, BlobId)>> {
    let unused = raw_sql!(
        Postgres,
        "delete from blob where (workspace_id, id) in (
             select b.workspace_id, b.id from blob b
             where b.used_at < now() - make_interval(secs => {age_seconds})
               and not exists (select from file_version v where v.workspace_id = b.workspace_id and v.blob_id = b.id)
               and not exists (select from file_version v where v.workspace_id = b.workspace_id and v.text_blob_id = b.id)
             limit {limit} for update skip locked)
         returning workspace_id, id"
    );
    sql::all_values(tx, unused).await
}

/// Whether a blob is registered.
pub async fn blob_is_registered(conn: &impl Conn, workspace: WorkspaceId, blob: BlobId) -> Result<bool> {
    blob::Entity::find_by_id((workspace, blob)).exists(conn).await
}

/// Deletes up to `limit` files of a deleted workspace, with everything that belongs to them.
pub async fn delete_batch(conn: &impl Conn, workspace: WorkspaceId, limit: i64) -> Result<u64> {
    let batch = file::Entity::find()
        .select_only()
        .column(file::Column::Id)
        .filter(file::Column::WorkspaceId.eq(workspace))
        .order_by_asc(file::Column::Id)
        .limit(sql::row_limit(limit))
        .lock(LockType::Update);
    let deleted = file::Entity::delete_many()
        .filter(file::Column::WorkspaceId.eq(workspace))
        .filter(file::Column::Id.in_subquery(batch.into_query()));
    Ok(deleted.exec(conn).await?.rows_affected)
}

/// Up to `limit` blobs of a workspace.
pub async fn list_blobs(conn: &impl Conn, workspace: WorkspaceId, limit: i64) -> Result<Vec<BlobId>> {
    blob::Entity::find()
        .select_only()
        .column(blob::Column::Id)
        .filter(blob::Column::WorkspaceId.eq(workspace))
        .limit(sql::row_limit(limit))
        .into_tuple()
        .all(conn)
        .await
}

/// Deletes the rows of a deleted workspace's blobs whose objects were deleted.
///
/// # Errors
/// Also when a file version refers to one of them.
pub async fn delete_blob_rows(conn: &impl Conn, workspace: WorkspaceId, blobs: &[BlobId]) -> Result<u64> {
    let deleted = blob::Entity::delete_many()
        .filter(blob::Column::WorkspaceId.eq(workspace))
        .filter(blob::Column::Id.eq_any(blobs.to_vec()));
    Ok(deleted.exec(conn).await?.rows_affected)
}
