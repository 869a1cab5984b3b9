//! The course of file versions through pipelines: what nodes read of a file, and the state that follows from its items.

use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, raw_sql};
use serde_json::Value as Json;

use super::{Conn, Result, Tx, file, sql, target};
use crate::{
    domain::{
        failure::{Failure, FailureCode},
        file::FileState,
    },
    id::{BlobId, FileId, VersionId, WorkspaceId},
};

/// The properties of a file version that nodes and expressions read.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `file` and `file_version`")]
pub struct VersionFacts {
    pub file_id: FileId,
    pub version_id: VersionId,
    pub name: String,
    pub tags: Vec<String>,
    pub metadata: Json,
    pub external_id: Option<String>,
    pub created_at: DateTime<Utc>,
    pub blob_id: BlobId,
    pub bytes: i64,
    pub sha256: Vec<u8>,
    /// The media type of the content where it was read, otherwise the declared one.
    pub media_type: String,
    /// Whether the content was read.
    pub is_read: bool,
    /// The media type given with the upload.
    pub declared_type: String,
    pub page_count: Option<i32>,
}

/// The properties of a version; `None`: its file was deleted.
pub async fn facts(conn: &impl Conn, workspace: WorkspaceId, version: VersionId) -> Result<Option<VersionFacts>> {
    let facts = raw_sql!(
        Postgres,
        "select v.file_id, v.id as version_id, f.name, f.tags, f.metadata, f.external_id, v.created_at, v.blob_id, v.bytes,
             v.sha256, v.media_type, v.text_blob_id is not null as is_read,
             coalesce(v.declared_type, v.media_type) as declared_type, v.page_count
         from file_version v join file f on f.workspace_id = v.workspace_id and f.id = v.file_id
         where v.workspace_id = {workspace} and v.id = {version}"
    );
    sql::first(conn, facts).await
}

/// Merges metadata into that of a file; keys that exist are replaced.
pub async fn merge_metadata(tx: &Tx, workspace: WorkspaceId, file: FileId, metadata: Json) -> Result<()> {
    let merged = raw_sql!(
        Postgres,
        "update file set metadata = metadata || {metadata}, updated_at = now()
         where workspace_id = {workspace} and id = {file} and not metadata @> {metadata}"
    );
    sql::execute(tx, merged).await?;
    Ok(())
}

/// How the pipelines that a file's arrival has started ended.
#[derive(Clone, Debug)]
pub struct ArrivalOutcome {
    /// The failure of the item that failed last, if one has failed.
    pub failure: Option<Failure>,
}

#[derive(FromQueryResult)]
struct OutcomeRow {
    open: bool,
    failed: Option<FailureCode>,
    failure_detail: Option<String>,
    failure_node: Option<String>,
    cancelled: bool,
}

/// How the runs of a version's arrival ended; `None`: at least one goes on. Of each source of a pipeline, which is where items enter, the
/// newest item counts, and none that an item of a newer definition followed.
pub async fn arrival_outcome(tx: &Tx, workspace: WorkspaceId, version: VersionId) -> Result<Option<ArrivalOutcome>> {
    let outcome = raw_sql!(
        Postgres,
        "with item as (
             select r.pipeline_id, r.pipeline_version, i.entry, i.id, i.state, i.failure_code, i.failure_detail, i.failure_node,
                 i.updated_at
             from run_item i join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
             where i.workspace_id = {workspace} and i.version_id = {version} and not r.preview
                 and (r.trigger = 'upload' or r.syncs or i.parent_id is not null)),
         newest as (
             select distinct on (pipeline_id, entry) * from item
             where not exists (
                 select from item newer where newer.pipeline_id = item.pipeline_id and newer.id > item.id
                     and newer.pipeline_version > item.pipeline_version)
             order by pipeline_id, entry, id desc),
         failed as (select * from newest where state = 'failed' order by updated_at desc limit 1)
         select coalesce((select bool_or(state in ('queued', 'running')) from newest), false) as open,
             (select failure_code from failed) as failed, (select failure_detail from failed), (select failure_node from failed),
             coalesce((select bool_and(state = 'cancelled') from newest), false) as cancelled"
    );
    let Some(row) = sql::first::<OutcomeRow>(tx, outcome).await? else { return Ok(None) };
    if row.open {
        return Ok(None);
    }
    let failure = match row.failed {
        Some(code) => {
            let failure = Failure::new(code, row.failure_detail.unwrap_or_default());
            Some(Failure { node: row.failure_node, ..failure })
        }
        None if row.cancelled => {
            Some(Failure::new(FailureCode::Cancelled, "the run was cancelled before the file was processed"))
        }
        None => None,
    };
    Ok(Some(ArrivalOutcome { failure }))
}

/// Makes a version the one that search and downloads of text see. What pipelines have written for the versions before it goes, also
/// of those that do not process this one. Returns its number of chunks and the seconds since its upload; the latter is `None` if a
/// newer version is live already.
pub async fn set_ready(
    tx: &Tx,
    workspace: WorkspaceId,
    file: FileId,
    version: VersionId,
) -> Result<(i64, Option<f64>)> {
    file::set_state(tx, workspace, version, FileState::Ready, None).await?;
    let seconds = file::make_live(tx, workspace, file, version).await?;
    target::remove_of_older_versions(tx, workspace, file, version).await?;
    let chunks = raw_sql!(
        Postgres,
        "select coalesce(sum(chunk_count), 0)::bigint from target
         where workspace_id = {workspace} and file_id = {file} and version_id = {version} and live"
    );
    Ok((sql::first_value(tx, chunks).await?.unwrap_or_default(), seconds))
}
