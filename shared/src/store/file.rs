//! Files, their versions and their blobs.

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;

use super::{Conn, Result, Tx, sql};
use crate::{
    domain::{
        failure::{Failure, FailureCode},
        file::FileState,
    },
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
    #[derive(FromQueryResult)]
    struct Row {
        id: BlobId,
    }
    // The update locks the row, so that garbage collection cannot delete the blob before a version refers to it.
    let row: Option<Row> = sql::first(
        tx,
        "insert into blob (workspace_id, id, sha256, bytes) values ($1, $2, $3, $4)
         on conflict (workspace_id, sha256) do update set used_at = now()
         returning id",
        [workspace.into(), blob.id.into(), blob.sha256.to_vec().into(), size(blob.bytes).into()],
    )
    .await?;
    Ok(row.map_or(blob.id, |row| row.id))
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
    sql::execute(
        tx,
        "insert into file (workspace_id, id, name, version_id, created_by) values ($1, $2, $3, $4, $5)",
        [workspace.into(), id.into(), file.name.clone().into(), version.into(), file.created_by.into()],
    )
    .await?;
    sql::execute(
        tx,
        "insert into file_version (workspace_id, id, file_id, number, blob_id, bytes, sha256, media_type)
         values ($1, $2, $3, 1, $4, $5, $6, $7)",
        [
            workspace.into(),
            version.into(),
            id.into(),
            blob.into(),
            size(file.blob.bytes).into(),
            file.blob.sha256.to_vec().into(),
            file.media_type.clone().into(),
        ],
    )
    .await?;
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

const VIEW: &str = "
    select f.id, f.name, f.tags, f.metadata, f.created_at, f.updated_at, f.version_id,
        v.number, v.blob_id, v.text_blob_id, v.bytes, v.sha256, v.media_type, v.page_count, v.chunk_count, v.state,
        v.failure_code, v.failure_detail, i.stage, i.done, i.total
    from file f
    join file_version v on v.workspace_id = f.workspace_id and v.id = f.version_id
    left join lateral (
        select stage, done, total from run_item
        where run_item.workspace_id = f.workspace_id and run_item.version_id = f.version_id
        order by run_item.id desc limit 1) i on true
    where f.workspace_id = $1";

/// One file.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, file: FileId) -> Result<Option<FileView>> {
    sql::first(conn, &format!("{VIEW} and f.id = $2"), [workspace.into(), file.into()]).await
}

/// Files before `before`, newest first, at most `limit`.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    before: Option<FileId>,
    limit: i64,
) -> Result<Vec<FileView>> {
    sql::all(
        conn,
        &format!("{VIEW} and ($2::uuid is null or f.id < $2) order by f.id desc limit $3"),
        [workspace.into(), before.into(), limit.into()],
    )
    .await
}

/// Deletes a file with its versions, runs, chunks and embeddings. Garbage collection deletes its blobs, and its jobs end
/// when they do not find it. Returns whether the file existed.
pub async fn delete(tx: &Tx, workspace: WorkspaceId, file: FileId) -> Result<bool> {
    let values = || -> [sea_orm::Value; 2] { [workspace.into(), file.into()] };
    let runs = "delete from run r using run_item i
         where i.workspace_id = $1 and i.file_id = $2 and r.workspace_id = $1 and r.id = i.run_id
           and not exists (select from run_item o where o.workspace_id = $1 and o.run_id = r.id and o.file_id <> $2)";
    sql::execute(tx, runs, values()).await?;
    let rows = sql::execute(tx, "delete from file where workspace_id = $1 and id = $2", values()).await?;
    Ok(rows == 1)
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
    sql::first(
        conn,
        "select f.name, v.blob_id, v.bytes, v.sha256, v.media_type
         from file_version v join file f on f.workspace_id = v.workspace_id and f.id = v.file_id
         where v.workspace_id = $1 and v.id = $2",
        [workspace.into(), version.into()],
    )
    .await
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
    sql::execute(
        tx,
        "update file_version set media_type = $3, text_blob_id = $4, page_count = $5, updated_at = now()
         where workspace_id = $1 and id = $2",
        [
            workspace.into(),
            version.into(),
            extraction.media_type.clone().into(),
            extraction.text_blob_id.into(),
            extraction.page_count.and_then(|pages| i32::try_from(pages).ok()).into(),
        ],
    )
    .await?;
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
    sql::execute(
        tx,
        "update file_version set state = $3, failure_code = $4, failure_detail = $5, updated_at = now()
         where workspace_id = $1 and id = $2",
        [
            workspace.into(),
            version.into(),
            sea_orm::ActiveEnum::to_value(&state).into(),
            failure.map(|failure| sea_orm::ActiveEnum::to_value(&failure.code)).into(),
            failure.map(|failure| failure.detail.clone()).into(),
        ],
    )
    .await?;
    Ok(())
}

/// Makes a version searchable and deletes the chunks of the version before it. Returns the seconds since the version's
/// upload, or `None` if a newer version is live already.
pub async fn make_live(tx: &Tx, workspace: WorkspaceId, file: FileId, version: VersionId) -> Result<Option<f64>> {
    #[derive(FromQueryResult)]
    struct Row {
        seconds: f64,
    }
    let row: Option<Row> = sql::first(
        tx,
        "update file f set live_version_id = v.id, updated_at = now()
         from file_version v
         where f.workspace_id = $1 and f.id = $2 and v.workspace_id = $1 and v.id = $3
           and not exists (
               select from file_version live
               where live.workspace_id = $1 and live.id = f.live_version_id and live.number > v.number)
         returning extract(epoch from clock_timestamp() - v.created_at)::float8 as seconds",
        [workspace.into(), file.into(), version.into()],
    )
    .await?;
    sql::execute(
        tx,
        "delete from chunk c using file f
         where f.workspace_id = $1 and f.id = $2 and c.workspace_id = $1 and c.file_id = $2
           and c.version_id <> f.live_version_id and c.version_id <> f.version_id",
        [workspace.into(), file.into()],
    )
    .await?;
    Ok(row.map(|row| row.seconds))
}

/// Deletes up to `limit` blob rows without references that were not used for `age_seconds`. Once the transaction commits,
/// their objects can be deleted.
pub async fn delete_unused_blobs(tx: &Tx, age_seconds: f64, limit: i64) -> Result<Vec<(WorkspaceId, BlobId)>> {
    #[derive(FromQueryResult)]
    struct Row {
        workspace_id: WorkspaceId,
        id: BlobId,
    }
    let rows: Vec<Row> = sql::all(
        tx,
        "delete from blob where (workspace_id, id) in (
             select b.workspace_id, b.id from blob b
             where b.used_at < now() - make_interval(secs => $1)
               and not exists (select from file_version v where v.workspace_id = b.workspace_id and v.blob_id = b.id)
               and not exists (select from file_version v where v.workspace_id = b.workspace_id and v.text_blob_id = b.id)
             limit $2 for update skip locked)
         returning workspace_id, id",
        [age_seconds.into(), limit.into()],
    )
    .await?;
    Ok(rows.into_iter().map(|row| (row.workspace_id, row.id)).collect())
}

/// Whether a blob is registered.
pub async fn blob_is_registered(conn: &impl Conn, workspace: WorkspaceId, blob: BlobId) -> Result<bool> {
    let rows =
        sql::execute(conn, "select from blob where workspace_id = $1 and id = $2", [workspace.into(), blob.into()])
            .await?;
    Ok(rows == 1)
}

/// Deletes up to `limit` files of a deleted workspace, with everything that belongs to them.
pub async fn delete_batch(conn: &impl Conn, workspace: WorkspaceId, limit: i64) -> Result<u64> {
    sql::execute(
        conn,
        "delete from file where workspace_id = $1 and id in (select id from file where workspace_id = $1 limit $2)",
        [workspace.into(), limit.into()],
    )
    .await
}

/// Up to `limit` blobs of a workspace.
pub async fn list_blobs(conn: &impl Conn, workspace: WorkspaceId, limit: i64) -> Result<Vec<BlobId>> {
    #[derive(FromQueryResult)]
    struct Row {
        id: BlobId,
    }
    let rows: Vec<Row> =
        sql::all(conn, "select id from blob where workspace_id = $1 limit $2", [workspace.into(), limit.into()])
            .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Deletes the rows of a deleted workspace's blobs whose objects were deleted.
///
/// # Errors
/// Also when a file version refers to one of them.
pub async fn delete_blob_rows(conn: &impl Conn, workspace: WorkspaceId, blobs: &[BlobId]) -> Result<u64> {
    let ids: Vec<uuid::Uuid> = blobs.iter().map(|blob| blob.0).collect();
    sql::execute(conn, "delete from blob where workspace_id = $1 and id = any($2)", [workspace.into(), ids.into()])
        .await
}
