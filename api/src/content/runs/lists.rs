//! Operations that show runs, and what of a pipeline is stale.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    id::{PipelineId, RunId},
    pipeline, runs,
    store::{self, run_list},
};

use super::{
    refresh_cost::refresh_cost,
    service,
    wire::{
        FailedObject, FailedObjects, ItemWaiting, PipelinePath, RefreshCost, Run, RunPath, RunsQuery, StaleNodeType,
        Staleness,
    },
};
use crate::{
    auth::member::{Member, ReadPipelines},
    http::{
        extract::{Json, Path},
        pagination::Page,
        query::Query,
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "listRuns",
    tag = "runs",
    summary = "List runs",
    description = "Newest first, those of uploads included."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadPipelines>,
    query: Query<RunsQuery>,
) -> Result<Json<Page<Run>>, Problem> {
    let (filter, query) = query.0.into_parts();
    let before = query.after()?.map(RunId);
    let rows = run_list::runs(&state.platform.db, member.workspace, filter, before, query.fetch_limit()).await?;
    Ok(Json(Page::new(&query, rows, |run| run.id.0)))
}

#[api_operation(
    operation_id = "readRun",
    tag = "runs",
    summary = "Read a run",
    description = "State and counts. Work of items is counted when they end."
)]
pub async fn read(
    state: Data<State>,
    member: Member<ReadPipelines>,
    path: Path<RunPath>,
) -> Result<Json<Run>, Problem> {
    let (db, workspace) = (&state.platform.db, member.workspace);
    let row = service::find(db, workspace, path.0.run).await?;
    let wait = if row.state.is_open() { store::job_wait::run_wait(db, workspace, row.id).await? } else { None };
    let waiting = wait.map(|(reason, until)| ItemWaiting { reason, until });
    Ok(Json(Run { waiting, ..row.into() }))
}

/// Objects of one response.
const MAX_FAILED_OBJECTS: i64 = 1_000;

#[api_operation(
    operation_id = "listFailedObjects",
    tag = "runs",
    summary = "List the objects that a sync could not read",
    description = "Of the last sync that listed each of them; `retryRun` reads them again. At most a thousand."
)]
pub async fn failed_objects(
    state: Data<State>,
    member: Member<ReadPipelines>,
    path: Path<RunPath>,
) -> Result<Json<FailedObjects>, Problem> {
    let (db, workspace) = (&state.platform.db, member.workspace);
    let run = service::find(db, workspace, path.0.run).await?;
    let (pipeline, limit) = (run.pipeline_id, MAX_FAILED_OBJECTS);
    let rows = store::source_fetch::failures(db, workspace, pipeline, run.id, ("", ""), limit).await?;
    let items = rows.into_iter().map(|row| FailedObject {
        node: row.node,
        external_id: row.external_id,
        code: row.failure_code,
        detail: row.failure_detail,
        file_id: row.file_id.map(Into::into),
    });
    Ok(Json(FailedObjects { items: items.collect() }))
}

#[api_operation(
    operation_id = "readPipelineStaleness",
    tag = "runs",
    summary = "Read what of a pipeline is stale",
    description = "Items whose results an older version of the definition has written, or older code of a node type: in collections, in systems outside, or as files. Nothing is computed again by itself: a run of the pipeline does that."
)]
pub async fn staleness(
    state: Data<State>,
    member: Member<ReadPipelines>,
    path: Path<PipelinePath>,
) -> Result<Json<Staleness>, Problem> {
    let (db, workspace, id) = (&state.platform.db, member.workspace, PipelineId(path.0.pipeline));
    let newest = store::run::newest(db, workspace, id).await?.ok_or_else(Problem::not_found)?;
    let compiled = pipeline::compile(&newest.definition).map_err(Problem::internal)?;
    let versions = runs::code_versions(&compiled.plan);
    let (version, code_versions) = (newest.version, versions.clone());
    let compared = store::staleness::Compared { workspace, pipeline: id, version, code_versions };
    let found = store::staleness::find(db, &compared).await?;
    let spent = store::staleness::connection_tokens(db, &compared).await?;
    let cost = refresh_cost(db, workspace, &compiled.plan, found.tokens, spent).await?;
    let raised = store::staleness::raised_node_types(db, &compared).await?;
    let current = |kind: &str| versions[kind].as_u64().and_then(|version| u32::try_from(version).ok());
    Ok(Json(Staleness {
        items: found.live,
        stale: found.items,
        older_version: found.older_version,
        older_code: found.older_code,
        node_types: raised
            .into_iter()
            .map(|raised| StaleNodeType {
                to: current(&raised.node_type).unwrap_or_default(),
                kind: raised.node_type,
                from: raised.oldest,
                items: raised.items,
            })
            .collect(),
        refresh: RefreshCost {
            files: found.files,
            chunks: found.chunks,
            tokens: found.tokens,
            cost: cost.map(|micros| micros as f64 / 1e6),
        },
    }))
}
