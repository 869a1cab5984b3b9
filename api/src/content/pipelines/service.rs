//! Creating, changing and deleting pipelines, under the workspace's lock.

use nvisy_shared::{
    clock,
    domain::{activity::Action, event::EventType},
    entity,
    id::{PipelineId, WorkspaceId},
    pipeline::{
        Definition,
        node::{NodeSpec, source_files::SourceFiles},
        state::PipelineState,
    },
    platform::Platform,
    runs,
    store::{self, Conn, Tx, change::Change, pipeline::NewPipeline},
};
use serde_json::{Value, json};

use crate::{
    auth::member::{Member, WritePipelines},
    definition::{compile, require_no_trigger_cycle, require_references, require_unused},
    http::{client_info::ClientInfo, etag::check_revision},
    problem::{Code, FieldError, Problem},
};

pub type PipelineRow = entity::pipeline::Model;
type VersionRow = entity::pipeline_version::Model;

/// Maximum number of pipelines of a workspace.
const MAX_PIPELINES: u64 = 100;

/// The fields to change; `None`: unchanged.
#[derive(Debug)]
pub struct PipelineChange {
    pub name: Option<String>,
    pub state: Option<PipelineState>,
    pub definition: Option<Value>,
}

pub async fn find(conn: &impl Conn, workspace: WorkspaceId, id: PipelineId) -> Result<PipelineRow, Problem> {
    store::pipeline::find(conn, workspace, id).await?.ok_or_else(Problem::not_found)
}

pub async fn find_version(conn: &impl Conn, of: &PipelineRow, number: i32) -> Result<VersionRow, Problem> {
    let version = store::pipeline::find_version(conn, of.workspace_id, of.id, number).await?;
    version.ok_or_else(Problem::not_found)
}

pub async fn create(
    change: &mut Change,
    member: &Member<WritePipelines>,
    name: &str,
    definition: &Definition,
) -> Result<PipelineRow, Problem> {
    // The lock makes concurrent creations count each other.
    member.lock(change).await?;
    if store::pipeline::count(change.tx(), member.workspace).await? >= MAX_PIPELINES {
        let error = FieldError::new("pipelines", format!("a workspace can have at most {MAX_PIPELINES}"));
        return Err(Problem::new(Code::QuotaExceeded).fields(vec![error]));
    }
    let new = NewPipeline { name, builtin: false, inline: false, state: PipelineState::Draft };
    let created = store::pipeline::insert(change, member.workspace, &new, definition.to_json()).await?;
    let created = created.ok_or_else(|| Problem::new(Code::NameTaken))?;
    let details = json!({ "version": created.version });
    change.audit_with(Action::PipelineCreated, created.id, details.clone());
    change.emit(EventType::PipelineCreated, created.id, details);
    Ok(created)
}

pub async fn update(
    platform: &Platform,
    member: &Member<WritePipelines>,
    client: &ClientInfo,
    id: PipelineId,
    revisions: Option<Vec<i32>>,
    requested: PipelineChange,
) -> Result<(PipelineRow, Value), Problem> {
    let compiled = requested.definition.as_ref().map(compile).transpose()?;
    let definition = compiled.map(|compiled| compiled.definition.to_json());
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let row = lock(change, member, id, revisions.as_deref()).await?;
            apply(change, row, &requested, definition.clone()).await
        })
        .await
}

/// Applies the change to a locked pipeline; returns it with its newest definition.
async fn apply(
    change: &mut Change,
    mut row: PipelineRow,
    requested: &PipelineChange,
    definition: Option<Value>,
) -> Result<(PipelineRow, Value), Problem> {
    let (id, workspace) = (row.id, row.workspace_id);
    let stored = find_version(change.tx(), &row, row.version).await?.definition;
    let mut changed = Vec::new();
    if let Some(name) = requested.name.as_deref().map(str::trim).filter(|name| *name != row.name) {
        if store::pipeline::is_name_taken(change, workspace, id, name).await? {
            return Err(Problem::new(Code::NameTaken));
        }
        require_unused(change.tx(), workspace, &follower_of(&row.name)).await?;
        row.name = name.to_owned();
        changed.push("name");
    }
    if let Some(state) = requested.state.filter(|state| *state != row.state) {
        row.state = state;
        changed.push("state");
    }
    let new = definition.filter(|definition| *definition != stored);
    if let Some(definition) = &new {
        row.version += 1;
        store::pipeline::insert_version(change, workspace, id, row.version, definition.clone()).await?;
        changed.push("definition");
    }
    let definition = new.unwrap_or(stored);
    if changed.is_empty() {
        return Ok((row, definition));
    }
    if row.state == PipelineState::Enabled {
        require_references(change.tx(), workspace, &definition).await?;
        // The lock of the workspace makes pipelines that are enabled at the same time see each other.
        require_no_trigger_cycle(change.tx(), workspace, (id, &row.name), &definition).await?;
    }
    row.next_run_at = match row.state {
        PipelineState::Enabled => {
            store::pipeline::next_run(id, &definition, clock::now()).map_err(Problem::internal)?
        }
        PipelineState::Draft | PipelineState::Disabled => None,
    };
    let row = store::pipeline::update(change, &row).await?;
    store::source_notification::forget_obsolete(change, workspace, id).await?;
    let details = json!({ "fields": changed, "version": row.version, "state": row.state.name() });
    change.audit_with(Action::PipelineUpdated, id, details.clone());
    change.emit(EventType::PipelineUpdated, id, details);
    Ok((row, definition))
}

pub async fn delete(
    platform: &Platform,
    member: &Member<WritePipelines>,
    client: &ClientInfo,
    id: PipelineId,
    revisions: Option<Vec<i32>>,
) -> Result<(), Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            member.lock(change).await?;
            // Before the pipeline: what workers write for it, while they hold jobs, refers to it.
            store::job::delete_of_pipeline(change, member.workspace, id).await?;
            store::pipeline::lock_for_deletion(change, member.workspace, id).await?;
            let row = lock(change, member, id, revisions.as_deref()).await?;
            if row.builtin {
                return Err(Problem::new(Code::BuiltinPipeline).detail("it can be disabled"));
            }
            require_unused(change.tx(), member.workspace, &follower_of(&row.name)).await?;
            runs::abort_of_pipeline(change, member.workspace, id).await?;
            store::pipeline::delete(change, member.workspace, id).await?;
            change.audit(Action::PipelineDeleted, id);
            change.emit(EventType::PipelineDeleted, id, json!({}));
            Ok(())
        })
        .await
}

/// The settings that every source has that starts after a pipeline.
fn follower_of(pipeline: &str) -> Value {
    json!({ "type": SourceFiles::TYPE, "trigger": { "after": { "pipeline": pipeline } } })
}

/// Locks workspace and pipeline; 412 unless it has one of these revisions.
async fn lock(
    tx: &Tx,
    member: &Member<WritePipelines>,
    id: PipelineId,
    revisions: Option<&[i32]>,
) -> Result<PipelineRow, Problem> {
    member.lock(tx).await?;
    let row = store::pipeline::lock(tx, member.workspace, id).await?;
    // A pipeline that was made for one run belongs to that run.
    let row = row.filter(|row| !row.inline).ok_or_else(Problem::not_found)?;
    check_revision(row.revision, revisions)?;
    Ok(row)
}
