//! Operations that start runs.

use std::time::Duration;

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    domain::{connection::model::micros, run::RunTrigger},
    id::{FileId, PipelineId, RunId, WorkspaceId},
    pipeline,
    runs::{self, Selection},
    store::Tx,
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    service,
    wait::wait_for_end,
    wire::{PipelinePath, PreviewPipeline, Run, StartRun},
};
use crate::{
    auth::member::{Member, WritePipelines},
    definition::compile,
    http::{
        client_info::ClientInfo,
        extract::{Json, Path, invalid_field},
        idempotency::{IdempotencyKey, idempotent},
        status_json::Accepted,
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "startRun",
    tag = "runs",
    summary = "Start a run",
    description = "Processes files that exist with the newest version of an enabled pipeline. Files enter one after another, so a run may have any number of them; outputs that earlier runs have computed from the same content are reused."
)]
pub async fn start(
    state: Data<State>,
    member: Member<WritePipelines>,
    key: IdempotencyKey,
    client: ClientInfo,
    path: Path<PipelinePath>,
    body: Json<StartRun>,
) -> Result<Accepted<Run>, Problem> {
    let (pipeline, body, workspace) = (PipelineId(path.0.pipeline), body.0, member.workspace);
    service::check_filter(body.filter.as_ref())?;
    let request = key.bind("startRun", Some(member.account), &(workspace, pipeline, &body));
    let started: Accepted<Run> = idempotent(&member.changes(&state.platform, &client), request, async |change| {
        let (of, enabled) = service::lock_pipeline(change, workspace, pipeline).await?;
        let files = files(change, workspace, body.files.as_deref()).await?;
        service::require_enabled(enabled)?;
        let compiled = pipeline::compile(&of.definition).map_err(Problem::internal)?;
        service::check_node(&compiled, "recomputeFrom", body.recompute_from.as_deref())?;
        let trigger = if body.low_priority { RunTrigger::Backfill } else { RunTrigger::Manual };
        let selection = Selection { files, filter: body.filter.clone(), limit: body.limit, ..Selection::default() };
        let syncs = selection.is_all() && runs::syncs(&compiled.plan, trigger);
        if body.dry_run && !syncs {
            let message =
                "must be absent unless the pipeline has a source that is a connection, and no files are selected";
            return Err(invalid_field("dryRun", message));
        }
        if syncs {
            service::require_no_sync(change, workspace, pipeline, None).await?;
        }
        let start = runs::StartRun {
            low_priority: body.low_priority,
            dry_run: body.dry_run,
            recompute_from: body.recompute_from.clone(),
            budget: body.budget.map(micros),
            ..runs::StartRun::new(trigger, selection)
        };
        service::start(change, &state.platform, workspace, &of, start).await.map(Run::from)
    })
    .await?;
    Ok(located(started, workspace))
}

#[api_operation(
    operation_id = "previewPipeline",
    tag = "runs",
    summary = "Preview a pipeline",
    description = "Runs a pipeline in any state, or another definition, on up to ten files: named ones, or a sample of those that the sources take. A preview writes nothing: the artifacts of its items show what each node gave, and the items its tokens and time. With `waitSeconds` the response has the run as it is when it has ended, or after that time."
)]
pub async fn preview(
    state: Data<State>,
    member: Member<WritePipelines>,
    key: IdempotencyKey,
    client: ClientInfo,
    path: Path<PipelinePath>,
    body: Json<PreviewPipeline>,
) -> Result<Accepted<Run>, Problem> {
    let (pipeline, body, workspace) = (PipelineId(path.0.pipeline), body.0, member.workspace);
    if body.files.is_some() == body.sample.is_some() {
        return Err(invalid_field("sample", "must be given if `files` is absent, and only then"));
    }
    let definition: Option<Value> = match &body.definition {
        Some(definition) => Some(compile(definition)?.definition.to_json()),
        None => None,
    };
    // A response that waits is a stream for as long as it waits.
    let _permit = match body.wait_seconds {
        0 => None,
        _ => Some(state.streams.acquire(member.account, state.platform.config.limit.account_streams)?),
    };
    let content = (workspace, pipeline, &body.files, body.sample, &definition);
    let request = key.bind("previewPipeline", Some(member.account), &content);
    let started: Accepted<Run> = idempotent(&member.changes(&state.platform, &client), request, async |change| {
        let (stored, _) = service::lock_pipeline(change, workspace, pipeline).await?;
        let files = files(change, workspace, body.files.as_deref()).await?;
        let of = match &definition {
            Some(definition) => service::insert_inline(change, workspace, definition).await?,
            None => stored,
        };
        let newest = body.sample.is_some();
        let selection = Selection { files, limit: body.sample, newest, ..Selection::default() };
        let start = runs::StartRun { preview: true, ..runs::StartRun::new(RunTrigger::Preview, selection) };
        service::start(change, &state.platform, workspace, &of, start).await.map(Run::from)
    })
    .await?;
    let started = located(started, workspace);
    if body.wait_seconds == 0 {
        return Ok(started);
    }
    // The response must not come later than the server's limit.
    let longest = state.platform.config.http.request_seconds / 2;
    let limit = Duration::from_secs(u64::from(body.wait_seconds).min(longest));
    let run = wait_for_end(&state, workspace, RunId(started.body.id), limit).await?;
    Ok(started.map(|_| Run::from(run)))
}

/// The files that a request names, if it names any.
pub async fn files(tx: &Tx, workspace: WorkspaceId, files: Option<&[Uuid]>) -> Result<Option<Vec<FileId>>, Problem> {
    match files {
        Some(files) => service::check_files(tx, workspace, files).await.map(Some),
        None => Ok(None),
    }
}

/// The response with the address of the run.
pub fn located(started: Accepted<Run>, workspace: WorkspaceId) -> Accepted<Run> {
    started.with_location(|run| format!("/api/v1/workspaces/{workspace}/runs/{}", run.id))
}
