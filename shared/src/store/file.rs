//! Files, their versions and the blobs underneath.

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

/// Content that is in the object store.
#[derive(Clone, Copy, Debug)]
pub struct StoredBlob {
    /// The name under which it was put.
    pub id: BlobId,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
    /// Its size.
    pub bytes: u64,
}

/// Registers stored content. Identical content of a workspace is one blob: the answer is the id to
/// refer to, and when it is another than the given one, the given object is surplus and can be deleted.
pub async fn register_blob(tx: &Tx, workspace: WorkspaceId, blob: StoredBlob) -> Result<BlobId> {
    #[derive(FromQueryResult)]
    struct Row {
        id: BlobId,
    }
    // The update locks the row, so that the sweeper cannot take the blob between here and the reference to it.
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

/// A file to be, with its first version.
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

/// A file as users see it: itself, its newest version, and how far that has come.
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
    /// Why it failed, if it did.
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

/// Files, newest first, from before `before` on.
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

/// Deletes a file with its versions, runs, chunks and embeddings. Its blobs stay for the sweeper, its
/// jobs find nothing and end. Returns whether there was one.
pub async fn delete(tx: &Tx, workspace: WorkspaceId, file: FileId) -> Result<bool> {
    let values = || -> [sea_orm::Value; 2] { [workspace.into(), file.into()] };
    let runs = "delete from run r using run_item i
         where i.workspace_id = $1 and i.file_id = $2 and r.workspace_id = $1 and r.id = i.run_id
           and not exists (select from run_item o where o.workspace_id = $1 and o.run_id = r.id and o.file_id <> $2)";
    sql::execute(tx, runs, values()).await?;
    let rows = sql::execute(tx, "delete from file where workspace_id = $1 and id = $2", values()).await?;
    Ok(rows == 1)
}

/// A version as the worker needs it.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `file` and `file_version`")]
pub struct Source {
    pub name: String,
    pub blob_id: BlobId,
    pub bytes: i64,
    pub sha256: Vec<u8>,
    pub media_type: String,
}

/// Where a version's bytes are and what they claim to be.
pub async fn source(conn: &impl Conn, workspace: WorkspaceId, version: VersionId) -> Result<Option<Source>> {
    sql::first(
        conn,
        "select f.name, v.blob_id, v.bytes, v.sha256, v.media_type
         from file_version v join file f on f.workspace_id = v.workspace_id and f.id = v.file_id
         where v.workspace_id = $1 and v.id = $2",
        [workspace.into(), version.into()],
    )
    .await
}

/// What reading a version found out about it.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `file_version`")]
pub struct Contents {
    pub media_type: String,
    pub text_blob_id: BlobId,
    pub page_count: Option<u32>,
}

/// Records it.
pub async fn set_contents(tx: &Tx, workspace: WorkspaceId, version: VersionId, contents: &Contents) -> Result<()> {
    sql::execute(
        tx,
        "update file_version set media_type = $3, text_blob_id = $4, page_count = $5, updated_at = now()
         where workspace_id = $1 and id = $2",
        [
            workspace.into(),
            version.into(),
            contents.media_type.clone().into(),
            contents.text_blob_id.into(),
            contents.page_count.and_then(|pages| i32::try_from(pages).ok()).into(),
        ],
    )
    .await?;
    Ok(())
}

/// Moves a version on; `failure` goes with [`FileState::Failed`] and with nothing else.
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

/// Makes a version the one that search sees, and drops the chunks of the one before it. Returns the
/// seconds from the version's upload to now, or `None` when a newer version is live already.
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

/// Drops up to `limit` blob rows that nothing refers to and nobody has used for `age_seconds`.
/// Their objects are surplus once the transaction commits.
pub async fn take_unused_blobs(tx: &Tx, age_seconds: f64, limit: i64) -> Result<Vec<(WorkspaceId, BlobId)>> {
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

/// Whether a blob has a row.
pub async fn blob_is_registered(conn: &impl Conn, workspace: WorkspaceId, blob: BlobId) -> Result<bool> {
    let rows =
        sql::execute(conn, "select from blob where workspace_id = $1 and id = $2", [workspace.into(), blob.into()])
            .await?;
    Ok(rows == 1)
}

/// Deletes up to `limit` files of a deleted workspace, with all that belongs to them.
pub async fn delete_some(conn: &impl Conn, workspace: WorkspaceId, limit: i64) -> Result<u64> {
    sql::execute(
        conn,
        "delete from file where workspace_id = $1 and id in (select id from file where workspace_id = $1 limit $2)",
        [workspace.into(), limit.into()],
    )
    .await
}

/// Up to `limit` blobs of a workspace.
pub async fn blobs(conn: &impl Conn, workspace: WorkspaceId, limit: i64) -> Result<Vec<BlobId>> {
    #[derive(FromQueryResult)]
    struct Row {
        id: BlobId,
    }
    let rows: Vec<Row> =
        sql::all(conn, "select id from blob where workspace_id = $1 limit $2", [workspace.into(), limit.into()])
            .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Drops the rows of blobs of a deleted workspace whose objects are gone.
///
/// # Errors
/// The database's; also when something refers to one of them.
pub async fn forget_blobs(conn: &impl Conn, workspace: WorkspaceId, blobs: &[BlobId]) -> Result<u64> {
    let ids: Vec<uuid::Uuid> = blobs.iter().map(|blob| blob.0).collect();
    sql::execute(conn, "delete from blob where workspace_id = $1 and id = any($2)", [workspace.into(), ids.into()])
        .await
}
