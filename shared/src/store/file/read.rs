//! Reading files with their newest versions, and versions.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Statement};

use super::super::{
    Conn, Result,
    search::{condition::condition, parameters::Parameters},
    sql,
};
use crate::{
    domain::{
        failure::{Failure, FailureCode},
        file::{FileState, UPLOAD_SOURCE},
        filter::Filter,
    },
    entity::file_version,
    id::{BlobId, FileId, VersionId, WorkspaceId},
};

/// A file with its newest version and the progress of that version.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `file`, `file_version` and `run_item`")]
pub struct FileView {
    pub id: FileId,
    /// The file that this one was made from by a pipeline.
    pub parent_id: Option<FileId>,
    pub external_id: Option<String>,
    pub source: String,
    pub acl: Option<serde_json::Value>,
    pub source_deleted_at: Option<DateTime<Utc>>,
    pub name: String,
    pub tags: Vec<String>,
    pub metadata: serde_json::Value,
    pub revision: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version_id: VersionId,
    pub live_version_id: Option<VersionId>,
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
    /// Why the processing waits, where a member or an operator can remedy it, and for how long.
    pub wait_reason: Option<String>,
    pub wait_until: Option<DateTime<Utc>>,
}

impl FileView {
    /// The reason why the version failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.failure_code.map(|code| Failure::new(code, self.failure_detail.clone().unwrap_or_default()))
    }
}

/// The statement that reads the [`FileView`]s with these conditions. Not by the builder of SeaORM: [`condition`] writes the
/// text of a filter, over `file f` and `file_version v`.
fn select_views(mut parameters: Parameters, conditions: &[String], limit: i64) -> Statement {
    let limit = parameters.bind(limit);
    let text = format!(
        "select f.id, f.parent_id, f.external_id, f.source, f.acl, f.source_deleted_at, f.name, f.tags, f.metadata, f.revision, f.created_at, f.updated_at,
             f.version_id, f.live_version_id, v.number, v.blob_id, v.text_blob_id, v.bytes, v.sha256, v.media_type, v.page_count,
             v.chunk_count, v.state, v.failure_code, v.failure_detail, item.stage, item.done, item.total,
             wait.wait_reason, wait.run_at as wait_until
         from file f
         join file_version v on v.workspace_id = f.workspace_id and v.id = f.version_id
         left join lateral (
             select id, run_id, stage, done, total from run_item i
             where i.workspace_id = f.workspace_id and i.version_id = f.version_id
             order by i.id desc limit 1) item on true
         left join lateral (
             select j.wait_reason, j.run_at from job j
             where j.run_id = item.run_id and j.payload->>'item' = item.id::text and j.wait_reason is not null
             order by j.run_at limit 1) wait on true
         where {} order by f.id desc limit {limit}",
        conditions.join(" and "),
    );
    parameters.into_statement(text)
}

/// One file.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, file: FileId) -> Result<Option<FileView>> {
    let mut parameters = Parameters::default();
    let conditions =
        [format!("f.workspace_id = {}", parameters.bind(workspace)), format!("f.id = {}", parameters.bind(file))];
    sql::first(conn, select_views(parameters, &conditions, 1)).await
}

/// The files of a list: those that match every part that is given.
#[derive(Clone, Debug, Default)]
pub struct FileQuery {
    /// Files before this one, which are older.
    pub before: Option<FileId>,
    /// A filter, of which size, media type and pages are those of the newest version.
    pub filter: Option<Filter>,
    /// The state of the newest version.
    pub state: Option<FileState>,
    /// The code of the failure of the newest version.
    pub failure: Option<FailureCode>,
    /// A tag.
    pub tag: Option<String>,
    /// The external id of an upload.
    pub external_id: Option<String>,
    /// The file that the files were made from.
    pub parent: Option<FileId>,
}

/// The files of a list, newest first, at most `limit`.
pub async fn list(conn: &impl Conn, workspace: WorkspaceId, query: FileQuery, limit: i64) -> Result<Vec<FileView>> {
    let mut parameters = Parameters::default();
    let mut conditions = vec![format!("f.workspace_id = {}", parameters.bind(workspace))];
    if let Some(before) = query.before {
        conditions.push(format!("f.id < {}", parameters.bind(before)));
    }
    if let Some(state) = query.state {
        conditions.push(format!("v.state = {}", parameters.bind(state)));
    }
    if let Some(failure) = query.failure {
        conditions.push(format!("v.failure_code = {}", parameters.bind(failure)));
    }
    if let Some(tag) = query.tag {
        conditions.push(format!("f.tags @> array[{}]::text[]", parameters.bind(tag)));
    }
    if let Some(external_id) = query.external_id {
        let (source, external_id) = (parameters.bind(UPLOAD_SOURCE), parameters.bind(external_id));
        conditions.push(format!("f.source = {source} and f.external_id = {external_id}"));
    }
    if let Some(parent) = query.parent {
        conditions.push(format!("f.parent_id = {}", parameters.bind(parent)));
    }
    if let Some(filter) = query.filter {
        conditions.push(condition(&filter, &mut parameters));
    }
    sql::all(conn, select_views(parameters, &conditions, limit)).await
}

/// A version of a file.
pub async fn find_version(
    conn: &impl Conn,
    workspace: WorkspaceId,
    file: FileId,
    version: VersionId,
) -> Result<Option<file_version::Model>> {
    let found = file_version::Entity::find_by_id((workspace, version)).filter(file_version::Column::FileId.eq(file));
    found.one(conn).await
}

/// The versions of a file whose numbers are below `before`, newest first, at most `limit`.
pub async fn list_versions(
    conn: &impl Conn,
    workspace: WorkspaceId,
    file: FileId,
    before: Option<i32>,
    limit: i64,
) -> Result<Vec<file_version::Model>> {
    let mut versions = file_version::Entity::find()
        .filter(file_version::Column::WorkspaceId.eq(workspace))
        .filter(file_version::Column::FileId.eq(file));
    if let Some(before) = before {
        versions = versions.filter(file_version::Column::Number.lt(before));
    }
    versions.order_by_desc(file_version::Column::Number).limit(sql::row_limit(limit)).all(conn).await
}
