//! The course of file versions through pipelines: what nodes read of a file, and the state that follows from its items.

use std::collections::HashMap;

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
    Ok(facts_of_all(conn, workspace, vec![version]).await?.pop())
}

/// The properties of versions, without those whose files were deleted.
pub async fn facts_of_all(
    conn: &impl Conn,
    workspace: WorkspaceId,
    versions: Vec<VersionId>,
) -> Result<Vec<VersionFacts>> {
    let facts = raw_sql!(
        Postgres,
        "select v.file_id, v.id as version_id, f.name, f.tags, f.metadata, f.external_id, v.created_at, v.blob_id, v.bytes,
             v.sha256, v.media_type, v.text_blob_id is not null as is_read,
             coalesce(v.declared_type, v.media_type) as declared_type, v.page_count
         from file_version v join file f on f.workspace_id = v.workspace_id and f.id = v.file_id
         where v.workspace_id = {workspace} and v.id = any({versions})"
    );
    sql::all(conn, facts).await
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
    version_id: VersionId,
    open: bool,
    failed: Option<FailureCode>,
    failure_detail: Option<String>,
    failure_node: Option<String>,
    cancelled: bool,
}

/// How the runs of a version's arrival ended; `None`: at least one goes on. Of each source of a pipeline, which is where items enter, the
/// newest item counts, and none that an item of a newer definition followed.
pub async fn arrival_outcome(tx: &Tx, workspace: WorkspaceId, version: VersionId) -> Result<Option<ArrivalOutcome>> {
    Ok(arrival_outcomes(tx, workspace, &[version]).await?.remove(&version))
}

/// As [`arrival_outcome`], of several versions, without those of which a run goes on.
pub async fn arrival_outcomes(
    tx: &Tx,
    workspace: WorkspaceId,
    versions: &[VersionId],
) -> Result<HashMap<VersionId, ArrivalOutcome>> {
    // One that has no items has no failure either.
    let mut outcomes: HashMap<_, _> =
        versions.iter().map(|version| (*version, ArrivalOutcome { failure: None })).collect();
    let versions = versions.to_vec();
    let rows = raw_sql!(
        Postgres,
        "with item as (
             select i.version_id, r.pipeline_id, r.pipeline_version, i.entry, i.id, i.state, i.failure_code, i.failure_detail,
                 i.failure_node, i.updated_at
             from run_item i join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
             where i.workspace_id = {workspace} and i.version_id = any({versions}) and not r.preview
                 and (r.trigger = 'upload' or r.syncs or i.parent_id is not null)),
         newest as (
             select distinct on (version_id, pipeline_id, entry) * from item
             where not exists (
                 select from item newer
                 where newer.version_id = item.version_id and newer.pipeline_id = item.pipeline_id and newer.id > item.id
                     and newer.pipeline_version > item.pipeline_version)
             order by version_id, pipeline_id, entry, id desc),
         failed as (
             select distinct on (version_id) * from newest where state = 'failed' order by version_id, updated_at desc),
         ended as (
             select version_id, bool_or(state in ('queued', 'running')) as open, bool_and(state = 'cancelled') as cancelled
             from newest group by version_id)
         select ended.version_id, ended.open, failed.failure_code as failed, failed.failure_detail, failed.failure_node,
             ended.cancelled
         from ended left join failed on failed.version_id = ended.version_id"
    );
    for row in sql::all::<OutcomeRow>(tx, rows).await? {
        if row.open {
            outcomes.remove(&row.version_id);
        } else {
            outcomes.insert(row.version_id, ArrivalOutcome { failure: row.failure() });
        }
    }
    Ok(outcomes)
}

impl OutcomeRow {
    fn failure(self) -> Option<Failure> {
        match self.failed {
            Some(code) => {
                let failure = Failure::new(code, self.failure_detail.unwrap_or_default());
                Some(Failure { node: self.failure_node, ..failure })
            }
            None if self.cancelled => {
                Some(Failure::new(FailureCode::Cancelled, "the run was cancelled before the file was processed"))
            }
            None => None,
        }
    }
}

/// A version that search and downloads of text see.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReadyVersion {
    /// The number of its chunks.
    pub chunks: i64,
    /// The seconds since its upload; `None`: a newer version is live already.
    pub seconds: Option<f64>,
}

/// Makes a version the one that search and downloads of text see. What pipelines have written for the versions before it goes, also
/// of those that do not process this one.
pub async fn set_ready(tx: &Tx, workspace: WorkspaceId, file: FileId, version: VersionId) -> Result<ReadyVersion> {
    let ready = set_all_ready(tx, workspace, &[(file, version)], true).await?;
    Ok(ready.get(&version).copied().unwrap_or_default())
}

/// As [`set_ready`], of versions of different files. `have_targets`: whether pipelines may have written anything for the files.
pub async fn set_all_ready(
    tx: &Tx,
    workspace: WorkspaceId,
    versions: &[(FileId, VersionId)],
    have_targets: bool,
) -> Result<HashMap<VersionId, ReadyVersion>> {
    if versions.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<VersionId> = versions.iter().map(|(_, version)| *version).collect();
    if have_targets {
        file::set_states(tx, workspace, ids.clone(), FileState::Ready).await?;
    } else {
        file::set_ready_without_chunks(tx, workspace, ids.clone()).await?;
    }
    let live = file::make_live(tx, workspace, versions).await?;
    let mut chunks = HashMap::new();
    if have_targets {
        target::remove_of_older_versions(tx, workspace, versions).await?;
        chunks = target::chunk_counts(tx, workspace, versions).await?;
    }
    let ready = ids.into_iter().map(|version| {
        let chunks = chunks.get(&version).copied().unwrap_or_default();
        (version, ReadyVersion { chunks, seconds: live.get(&version).copied() })
    });
    Ok(ready.collect())
}
