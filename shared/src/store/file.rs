//! Files, their versions and their blobs.

mod read;

use std::collections::{BTreeMap, HashMap};

pub use read::{FileQuery, FileView, find, find_version, list, list_versions};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    RelationTrait, UpdateMany, raw_sql,
    sea_query::{LockType, OnConflict},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{
    Conn, Result, Tx, history,
    locks::{self, LockedForDeletion},
    sql,
};
use crate::{
    domain::{
        failure::Failure,
        file::{FileState, UPLOAD_SOURCE},
    },
    entity::{blob, file, file_version},
    id::{AccountId, BlobId, FileId, RunId, VersionId, WorkspaceId},
};

/// Content in the object store.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
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

/// As [`register_blob`], for several in one statement; returns the blob id to refer to for each hash.
pub(super) async fn register_blobs(
    tx: &Tx,
    workspace: WorkspaceId,
    blobs: &[StoredBlob],
) -> Result<HashMap<[u8; 32], BlobId>> {
    // A statement inserts a row or finds it, so it names each hash once; in order, so that no two transactions wait for each other.
    let blobs: BTreeMap<[u8; 32], StoredBlob> = blobs.iter().map(|blob| (blob.sha256, *blob)).collect();
    if blobs.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<BlobId> = blobs.values().map(|blob| blob.id).collect();
    let hashes: Vec<Vec<u8>> = blobs.keys().map(|hash| hash.to_vec()).collect();
    let sizes: Vec<i64> = blobs.values().map(|blob| size(blob.bytes)).collect();
    let registered = raw_sql!(
        Postgres,
        "insert into blob (workspace_id, id, sha256, bytes)
         select {workspace}, new.id, new.sha256, new.bytes
         from unnest({ids}::uuid[], {hashes}::bytea[], {sizes}::bigint[]) as new (id, sha256, bytes)
         order by new.sha256
         on conflict (workspace_id, sha256) do update set used_at = now()
         returning sha256, id"
    );
    let registered: Vec<(Vec<u8>, BlobId)> = sql::all_values(tx, registered).await?;
    Ok(registered.into_iter().filter_map(|(hash, id)| Some((hash.try_into().ok()?, id))).collect())
}

fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// An uploaded content, and the description of its file.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `file` and `file_version`")]
pub struct NewFile {
    pub name: String,
    pub media_type: String,
    pub blob: StoredBlob,
    pub created_by: Option<AccountId>,
    pub external_id: Option<String>,
    pub tags: Vec<String>,
    pub metadata: Json,
}

impl NewFile {
    /// A file without external id, tags and metadata.
    #[must_use]
    pub fn new(name: String, media_type: String, blob: StoredBlob, created_by: Option<AccountId>) -> Self {
        Self { name, media_type, blob, created_by, external_id: None, tags: Vec::new(), metadata: json!({}) }
    }
}

/// Adds a file and its first version; `blob` must be registered.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, blob: BlobId, file: &NewFile) -> Result<(FileId, VersionId)> {
    let (id, version) = (FileId::new(), VersionId::new());
    let new_file = file::ActiveModel {
        workspace_id: Set(workspace),
        id: Set(id),
        source: Set(UPLOAD_SOURCE.to_owned()),
        external_id: Set(file.external_id.clone()),
        name: Set(file.name.clone()),
        tags: Set(file.tags.clone()),
        metadata: Set(file.metadata.clone()),
        version_id: Set(version),
        created_by: Set(file.created_by),
        ..Default::default()
    };
    file::Entity::insert(new_file).exec_without_returning(tx).await?;
    let new_version = NewVersion { id: version, number: 1, blob, media_type: &file.media_type, content: file.blob };
    insert_version(tx, workspace, id, &new_version).await?;
    Ok((id, version))
}

/// A version to be added.
#[derive(Clone, Copy, Debug)]
pub struct NewVersion<'a> {
    /// The id.
    pub id: VersionId,
    /// One more than that of the version before.
    pub number: i32,
    /// The registered blob.
    pub blob: BlobId,
    /// The declared media type.
    pub media_type: &'a str,
    /// Size and hash of the content.
    pub content: StoredBlob,
}

/// Adds a version of a file. [`update`] makes it the newest one.
pub async fn insert_version(tx: &Tx, workspace: WorkspaceId, file: FileId, version: &NewVersion<'_>) -> Result<()> {
    let row = file_version::ActiveModel {
        workspace_id: Set(workspace),
        id: Set(version.id),
        file_id: Set(file),
        number: Set(version.number),
        blob_id: Set(version.blob),
        bytes: Set(size(version.content.bytes)),
        sha256: Set(version.content.sha256.to_vec()),
        media_type: Set(version.media_type.to_owned()),
        declared_type: Set(Some(version.media_type.to_owned())),
        ..Default::default()
    };
    file_version::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// As [`insert_version`], for versions of several files in one statement.
pub(super) async fn insert_versions(
    tx: &Tx,
    workspace: WorkspaceId,
    versions: &[(FileId, NewVersion<'_>)],
) -> Result<()> {
    if versions.is_empty() {
        return Ok(());
    }
    let files: Vec<FileId> = versions.iter().map(|(file, _)| *file).collect();
    let ids: Vec<VersionId> = versions.iter().map(|(_, version)| version.id).collect();
    let numbers: Vec<i32> = versions.iter().map(|(_, version)| version.number).collect();
    let blobs: Vec<BlobId> = versions.iter().map(|(_, version)| version.blob).collect();
    let sizes: Vec<i64> = versions.iter().map(|(_, version)| size(version.content.bytes)).collect();
    let hashes: Vec<Vec<u8>> = versions.iter().map(|(_, version)| version.content.sha256.to_vec()).collect();
    let types: Vec<String> = versions.iter().map(|(_, version)| version.media_type.to_owned()).collect();
    let added = raw_sql!(
        Postgres,
        "insert into file_version (workspace_id, id, file_id, number, blob_id, bytes, sha256, media_type, declared_type)
         select {workspace}, new.id, new.file_id, new.number, new.blob_id, new.bytes, new.sha256, new.media_type,
             new.media_type
         from unnest({ids}::uuid[], {files}::uuid[], {numbers}::integer[], {blobs}::uuid[], {sizes}::bigint[],
                 {hashes}::bytea[], {types}::text[])
             as new (id, file_id, number, blob_id, bytes, sha256, media_type)"
    );
    sql::execute(tx, added).await?;
    Ok(())
}

/// Stores name, tags, metadata and newest version of a file that this transaction has locked; raises its revision.
pub async fn update(tx: &Tx, model: &file::Model) -> Result<()> {
    let changed = file::ActiveModel {
        name: Set(model.name.clone()),
        tags: Set(model.tags.clone()),
        metadata: Set(model.metadata.clone()),
        version_id: Set(model.version_id),
        revision: Set(model.revision + 1),
        ..Default::default()
    };
    file::Entity::update_many()
        .set(changed)
        .col_expr(file::Column::UpdatedAt, sql::now())
        .filter(file::Column::WorkspaceId.eq(model.workspace_id))
        .filter(file::Column::Id.eq(model.id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes a file with its versions, runs, targets, chunks and embeddings, and the files that were made from it. Garbage collection
/// deletes its blobs, and its jobs end when they do not find it. Returns the runs of other files that wait for fewer items than before,
/// and may be over: [`crate::runs::delete_file`] ends them. `None`: there is no such file.
pub async fn delete(tx: &Tx, workspace: WorkspaceId, file: FileId) -> Result<Option<Vec<RunId>>> {
    let locked = locks::lock_for_deletion(tx, workspace, vec![file]).await?;
    if locked.files.is_empty() {
        return Ok(None);
    }
    delete_locked(tx, workspace, locked).await.map(Some)
}

/// As [`delete`], of files that are locked.
pub(super) async fn delete_locked(tx: &Tx, workspace: WorkspaceId, locked: LockedForDeletion) -> Result<Vec<RunId>> {
    let LockedForDeletion { files, runs } = locked;
    let runs_of_files_alone = raw_sql!(
        Postgres,
        "delete from run r where r.workspace_id = {workspace} and r.id = any({runs})
           and not exists (
               select from run_item o
               where o.workspace_id = r.workspace_id and o.run_id = r.id and o.file_id <> all({files}))"
    );
    sql::execute(tx, runs_of_files_alone).await?;
    let open = raw_sql!(
        Postgres,
        "select run_id, count(*)::integer from run_item
         where workspace_id = {workspace} and state in ('queued', 'running') and version_id in (
             select id from file_version where workspace_id = {workspace} and file_id = any({files}))
         group by run_id"
    );
    let open: Vec<(RunId, i32)> = sql::all_values(tx, open).await?;
    let deleted = file::Entity::delete_many()
        .filter(file::Column::WorkspaceId.eq(workspace))
        .filter(file::Column::Id.eq_any(files));
    deleted.exec(tx).await?;
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let (runs, items): (Vec<RunId>, Vec<i32>) = open.into_iter().unzip();
    // Before the runs, which may end now.
    history::lock(tx, workspace).await?;
    let closed = raw_sql!(
        Postgres,
        "with closed as (
             select r.id, gone.items from run r join unnest({runs}::uuid[], {items}::integer[]) gone (id, items) on gone.id = r.id
             where r.workspace_id = {workspace} order by r.id for no key update of r)
         update run set items_open = greatest(run.items_open - closed.items, 0)
         from closed where run.workspace_id = {workspace} and run.id = closed.id returning run.id"
    );
    sql::all_values(tx, closed).await
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

/// As [`set_state`] without a failure, of several versions.
pub async fn set_states(tx: &Tx, workspace: WorkspaceId, versions: Vec<VersionId>, state: FileState) -> Result<()> {
    if versions.is_empty() {
        return Ok(());
    }
    let changed = raw_sql!(
        Postgres,
        "update file_version set state = {state}, failure_code = null, failure_detail = null, updated_at = now()
         where workspace_id = {workspace} and id = any({versions})"
    );
    sql::execute(tx, changed).await?;
    Ok(())
}

/// Makes versions ready for which no pipeline has written any chunk.
pub(super) async fn set_ready_without_chunks(tx: &Tx, workspace: WorkspaceId, versions: Vec<VersionId>) -> Result<()> {
    let ready = raw_sql!(
        Postgres,
        "update file_version set state = 'ready', failure_code = null, failure_detail = null, chunk_count = 0, updated_at = now()
         where workspace_id = {workspace} and id = any({versions})"
    );
    sql::execute(tx, ready).await?;
    Ok(())
}

/// Records that no pipeline has written any chunk for versions.
pub async fn set_no_chunks(tx: &Tx, workspace: WorkspaceId, versions: Vec<VersionId>) -> Result<()> {
    if versions.is_empty() {
        return Ok(());
    }
    let counted = raw_sql!(
        Postgres,
        "update file_version set chunk_count = 0 where workspace_id = {workspace} and id = any({versions})"
    );
    sql::execute(tx, counted).await?;
    Ok(())
}

/// Makes versions the live ones of their files, each of another file; [`super::target::publish`] makes their chunks searchable.
/// Returns the seconds since the upload of each, without those of which a newer version is live already.
pub async fn make_live(
    tx: &Tx,
    workspace: WorkspaceId,
    versions: &[(FileId, VersionId)],
) -> Result<HashMap<VersionId, f64>> {
    let (files, versions): (Vec<FileId>, Vec<VersionId>) = versions.iter().copied().unzip();
    let live = raw_sql!(
        Postgres,
        "update file f set live_version_id = t.version_id, updated_at = now()
         from (
             select {workspace}::uuid as workspace_id, given.*
             from unnest({files}::uuid[], {versions}::uuid[]) given (file_id, version_id) offset 0) t
         join file_version v on (v.workspace_id, v.id) = (t.workspace_id, t.version_id)
         where (f.workspace_id, f.id) = (t.workspace_id, t.file_id)
           and not exists (
               select from file_version live
               where live.workspace_id = f.workspace_id and live.id = f.live_version_id and live.number > v.number)
         returning t.version_id, extract(epoch from clock_timestamp() - v.created_at)::float8"
    );
    let live: Vec<(VersionId, f64)> = sql::all_values(tx, live).await?;
    Ok(live.into_iter().collect())
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
    Ok(!registered_blobs(conn, workspace, vec![blob]).await?.is_empty())
}

/// Those of these blobs that are registered.
pub async fn registered_blobs(conn: &impl Conn, workspace: WorkspaceId, blobs: Vec<BlobId>) -> Result<Vec<BlobId>> {
    let registered = raw_sql!(Postgres, "select id from blob where workspace_id = {workspace} and id = any({blobs})");
    sql::all_values(conn, registered).await
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
