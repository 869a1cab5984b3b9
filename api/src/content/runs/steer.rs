//! Operations that change the course of runs: cancel, retry, fork.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    domain::{
        activity::Action,
        failure::FailureCode,
        run::{ItemState, RunState, RunTrigger},
    },
    id::{ItemId, RunId, WorkspaceId},
    pipeline,
    runs::{self, ItemsOfRun, Selection},
    store::{self, Tx, change::Change, run::Pipeline},
};
use serde_json::{Value, json};

use super::{
    service::{self, RunRow},
    start::located,
    wire::{ForkRun, Item, ItemPath, RetryRun, Run, RunPath},
};
use crate::{
    auth::member::{Member, WritePipelines},
    definition::{compile, require_references},
    http::{
        client_info::ClientInfo,
        extract::{Json, Path, invalid_field},
        idempotency::{IdempotencyKey, idempotent},
        status_json::Accepted,
    },
    problem::{Code, Problem},
    quota,
    state::State,
};

#[api_operation(
    operation_id = "cancelRun",
    tag = "runs",
    summary = "Cancel a run",
    description = "Its jobs are deleted and its unfinished items are cancelled; calls in progress end within seconds. What finished items have written stays."
)]
pub async fn cancel(
    state: Data<State>,
    member: Member<WritePipelines>,
    client: ClientInfo,
    path: Path<RunPath>,
) -> Result<Json<Run>, Problem> {
    let (workspace, run) = (member.workspace, path.0.run);
    let changes = member.changes(&state.platform, &client);
    changes
        .run(async |change| {
            service::find(change.tx(), workspace, run).await?;
            if !runs::abort(change, workspace, RunId(run), RunState::Cancelled, None, None).await? {
                return Err(Problem::new(Code::RunEnded));
            }
            change.audit(Action::RunCancelled, run);
            Ok(Json(service::find(change.tx(), workspace, run).await?.into()))
        })
        .await
}

#[api_operation(
    operation_id = "retryRun",
    tag = "runs",
    summary = "Retry the failed items of a run",
    description = "They begin again in the same run, with the definition that it began with; outputs that are kept are reused. Without a code, a run that was cancelled or failed before its end goes on: its cancelled items begin again, and the files enter that had not. A run without such items and files stays as it is."
)]
pub async fn retry(
    state: Data<State>,
    member: Member<WritePipelines>,
    client: ClientInfo,
    path: Path<RunPath>,
    body: Json<RetryRun>,
) -> Result<Accepted<Run>, Problem> {
    let (workspace, run, code) = (member.workspace, path.0.run, body.0.code);
    let changes = member.changes(&state.platform, &client);
    changes
        .run(async |change| {
            let found = service::find(change.tx(), workspace, run).await?;
            if found.syncs {
                service::lock_pipeline_of(change, &found).await?;
                service::require_no_sync(change, workspace, found.pipeline_id, Some(found.id)).await?;
            }
            retry_items(change, &state, workspace, RunId(run), code, None).await?;
            Ok(Accepted::new(service::find(change.tx(), workspace, run).await?.into()))
        })
        .await
}

#[api_operation(
    operation_id = "retryItem",
    tag = "runs",
    summary = "Retry a failed item",
    description = "It begins again in the same run; outputs that are kept are reused."
)]
pub async fn retry_item(
    state: Data<State>,
    member: Member<WritePipelines>,
    client: ClientInfo,
    path: Path<ItemPath>,
) -> Result<Accepted<Item>, Problem> {
    let (workspace, ItemPath { run, item }) = (member.workspace, path.0);
    let changes = member.changes(&state.platform, &client);
    changes
        .run(async |change| {
            let found = service::find_item(change.tx(), workspace, run, item).await?;
            let is_failed = found.state == ItemState::Failed;
            let of = service::find(change.tx(), workspace, run).await?;
            if of.syncs {
                service::lock_pipeline_of(change, &of).await?;
                service::require_no_sync(change, workspace, of.pipeline_id, Some(of.id)).await?;
            }
            if !is_failed || retry_items(change, &state, workspace, RunId(run), None, Some(ItemId(item))).await? == 0 {
                return Err(Problem::new(Code::NotFailed));
            }
            Ok(Accepted::new(service::find_item(change.tx(), workspace, run, item).await?.into()))
        })
        .await
}

/// Puts failed items back, and records it. Returns their number.
async fn retry_items(
    change: &mut Change,
    state: &State,
    workspace: WorkspaceId,
    run: RunId,
    code: Option<FailureCode>,
    item: Option<ItemId>,
) -> Result<usize, Problem> {
    let items = runs::retry_failed(change, workspace, run, code.map(FailureCode::as_str), item).await?;
    let mut details = json!({ "items": items });
    if let Some(code) = code {
        details["code"] = json!(code);
    }
    if let Some(item) = item {
        details["itemId"] = json!(item);
    }
    change.audit_with(Action::RunRetried, run, details);
    quota::check(change, &state.platform, workspace, quota::OF_UPLOADS).await?;
    Ok(items)
}

#[api_operation(
    operation_id = "forkRun",
    tag = "runs",
    summary = "Fork a run",
    description = "Starts a run over the files of this one, at their newest versions: with the same version of the pipeline, another one, or another definition. Only nodes that have changed, and those that depend on them, are computed again; `fromNode` computes from that node on in any case."
)]
pub async fn fork(
    state: Data<State>,
    member: Member<WritePipelines>,
    key: IdempotencyKey,
    client: ClientInfo,
    path: Path<RunPath>,
    body: Json<ForkRun>,
) -> Result<Accepted<Run>, Problem> {
    let (workspace, run, body) = (member.workspace, path.0.run, body.0);
    if body.version.is_some() && body.definition.is_some() {
        return Err(invalid_field("version", "must be absent if there is a definition"));
    }
    let definition: Option<Value> = match &body.definition {
        Some(definition) => Some(compile(definition)?.definition.to_json()),
        None => None,
    };
    let request = key.bind("forkRun", Some(member.account), &(workspace, run, &body));
    let started: Accepted<Run> = idempotent(&member.changes(&state.platform, &client), request, async |change| {
        let origin = service::find(change.tx(), workspace, run).await?;
        let of = forked_pipeline(change, &origin, body.version, definition.as_ref()).await?;
        let compiled = pipeline::compile(&of.definition).map_err(Problem::internal)?;
        service::check_node(&compiled, "fromNode", body.from_node.as_deref())?;
        let items_of = ItemsOfRun { run: origin.id, state: body.state.map(|state| state.0) };
        let selection = Selection { items_of: Some(items_of), ..Selection::default() };
        let start = runs::StartRun {
            low_priority: body.low_priority,
            recompute_from: body.from_node.clone(),
            origin: Some(origin.id),
            ..runs::StartRun::new(RunTrigger::Fork, selection)
        };
        service::start(change, &state.platform, workspace, &of, start).await.map(Run::from)
    })
    .await?;
    Ok(located(started, workspace))
}

/// The pipeline of a fork at its version. What it refers to must exist, since it may be older than the enabled version.
async fn forked_pipeline(
    tx: &Tx,
    origin: &RunRow,
    version: Option<i32>,
    definition: Option<&Value>,
) -> Result<Pipeline, Problem> {
    let (workspace, id) = (origin.workspace_id, origin.pipeline_id);
    if let Some(definition) = definition {
        require_references(tx, workspace, definition).await?;
        return service::insert_inline(tx, workspace, definition).await;
    }
    let row = store::pipeline::lock(tx, workspace, id).await?.ok_or_else(Problem::not_found)?;
    if !row.inline {
        service::require_enabled(row.state)?;
    }
    let number = version.unwrap_or(origin.pipeline_version);
    let definition = store::run::definition(tx, workspace, id, number).await?;
    let definition = definition.ok_or_else(|| invalid_field("version", "must be a version of the pipeline"))?;
    require_references(tx, workspace, &definition).await?;
    Ok(Pipeline { id, name: row.name, version: number, definition })
}
