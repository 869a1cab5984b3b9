//! Starting runs, and finding them.

use std::collections::BTreeSet;

use nvisy_shared::{
    domain::{activity::Action, filter::Filter},
    entity,
    id::{FileId, ItemId, PipelineId, RunId, WorkspaceId},
    pipeline::{Compiled, state::PipelineState},
    platform::Platform,
    runs::{self, StartRun},
    store::{self, Conn, Tx, change::Change, pipeline::NewPipeline, run::Pipeline},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    http::extract::invalid_field,
    problem::{Code, Problem},
    quota,
};

pub type RunRow = entity::run::Model;
pub type ItemRow = entity::run_item::Model;

/// The name of pipelines that are made for one run.
const INLINE_NAME: &str = "inline";

pub async fn find(conn: &impl Conn, workspace: WorkspaceId, run: Uuid) -> Result<RunRow, Problem> {
    store::run::find(conn, workspace, RunId(run)).await?.ok_or_else(Problem::not_found)
}

pub async fn find_item(conn: &impl Conn, workspace: WorkspaceId, run: Uuid, item: Uuid) -> Result<ItemRow, Problem> {
    store::run_list::item(conn, workspace, RunId(run), ItemId(item)).await?.ok_or_else(Problem::not_found)
}

/// Locks a stored pipeline, so that it is not deleted meanwhile; returns it with its newest definition.
pub async fn lock_pipeline(
    tx: &Tx,
    workspace: WorkspaceId,
    pipeline: PipelineId,
) -> Result<(Pipeline, PipelineState), Problem> {
    let row = store::pipeline::lock(tx, workspace, pipeline).await?;
    let row = row.filter(|row| !row.inline).ok_or_else(Problem::not_found)?;
    let newest = store::run::newest(tx, workspace, pipeline).await?.ok_or_else(Problem::not_found)?;
    Ok((newest, row.state))
}

/// Locks the pipeline of a run, so that no sync of it is started meanwhile.
pub async fn lock_pipeline_of(tx: &Tx, run: &RunRow) -> Result<(), Problem> {
    store::pipeline::lock(tx, run.workspace_id, run.pipeline_id).await?;
    Ok(())
}

/// 409 unless the pipeline is enabled.
pub fn require_enabled(state: PipelineState) -> Result<(), Problem> {
    match state {
        PipelineState::Enabled => Ok(()),
        PipelineState::Draft => {
            Err(Problem::new(Code::PipelineNotEnabled).detail("it is a draft, which can be previewed"))
        }
        PipelineState::Disabled => Err(Problem::new(Code::PipelineNotEnabled)),
    }
}

/// 409 while a sync of the pipeline goes on, other than this run.
pub async fn require_no_sync(
    tx: &Tx,
    workspace: WorkspaceId,
    pipeline: PipelineId,
    except: Option<RunId>,
) -> Result<(), Problem> {
    let goes_on = store::sync_run::has_open(tx, workspace, pipeline, except).await?;
    if goes_on { Err(Problem::new(Code::SyncRunning)) } else { Ok(()) }
}

/// Stores a definition as a pipeline for one run.
pub async fn insert_inline(tx: &Tx, workspace: WorkspaceId, definition: &Value) -> Result<Pipeline, Problem> {
    let new = NewPipeline { name: INLINE_NAME, builtin: false, inline: true, state: PipelineState::Disabled };
    let row = store::pipeline::insert(tx, workspace, &new, definition.clone()).await?;
    let row = row.ok_or_else(|| Problem::internal("an inline pipeline was not inserted"))?;
    Ok(Pipeline { id: row.id, name: row.name, version: row.version, definition: definition.clone() })
}

/// The ids of a request without repetitions; 404 unless the workspace has all of these files.
pub async fn check_files(tx: &Tx, workspace: WorkspaceId, files: &[Uuid]) -> Result<Vec<FileId>, Problem> {
    let files: BTreeSet<FileId> = files.iter().copied().map(FileId).collect();
    let files: Vec<FileId> = files.into_iter().collect();
    let known = store::selection::count_files(tx, workspace, files.clone()).await?;
    if known == files.len() as u64 { Ok(files) } else { Err(Problem::not_found().detail("not all of the files exist")) }
}

/// 422 unless the filter can be read.
pub fn check_filter(filter: Option<&Value>) -> Result<(), Problem> {
    let Some(filter) = filter else { return Ok(()) };
    Filter::parse(filter).map(drop).map_err(|error| {
        let separator = if error.path.is_empty() { "" } else { "." };
        invalid_field(&format!("filter{separator}{}", error.path), error.kind.to_string())
    })
}

/// 422 unless the definition has the node.
pub fn check_node(compiled: &Compiled, field: &str, node: Option<&str>) -> Result<(), Problem> {
    let known = node.is_none_or(|node| compiled.definition.nodes.iter().any(|known| known.id == node));
    if known { Ok(()) } else { Err(invalid_field(field, "must be the id of a node of the definition")) }
}

/// Starts a run, and records that the caller did; 409 where the workspace has too many.
pub async fn start(
    change: &mut Change,
    platform: &Platform,
    workspace: WorkspaceId,
    of: &Pipeline,
    start: StartRun,
) -> Result<RunRow, Problem> {
    let trigger = start.trigger;
    let run = runs::start(change, workspace, of, start).await?;
    let details = json!({ "pipelineId": of.id, "version": of.version, "trigger": trigger.name() });
    change.audit_with(Action::RunStarted, run, details);
    quota::check(change, platform, workspace, quota::OF_UPLOADS).await?;
    find(change.tx(), workspace, run.0).await
}
