//! Operations that show what a definition means and change nothing: problems, plan, difference.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    id::PipelineId,
    pipeline::{self, InvalidDefinition, diff as difference, render},
};

use super::{
    service,
    wire::{DiffQuery, PipelineDiff, PipelinePath, PipelinePlan, PlanQuery, ValidateDefinition, ValidationResult},
};
use crate::{
    auth::member::{Member, ReadPipelines},
    definition::missing_references,
    http::{
        extract::{Json, Path},
        query::Query,
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "validatePipeline",
    tag = "pipelines",
    summary = "Validate a definition",
    description = "Returns every problem of the definition, or its plan. Stores nothing."
)]
pub async fn validate(
    state: Data<State>,
    member: Member<ReadPipelines>,
    body: Json<ValidateDefinition>,
) -> Result<Json<ValidationResult>, Problem> {
    let result = match pipeline::compile(&body.0.definition) {
        Ok(compiled) => ValidationResult {
            valid: true,
            problems: Vec::new(),
            not_runnable: missing_references(&state.platform.db, member.workspace, &compiled)
                .await?
                .into_iter()
                .map(Into::into)
                .collect(),
            plan: Some(PipelinePlan::new(None, &compiled.plan)),
        },
        Err(InvalidDefinition(problems)) => ValidationResult {
            valid: false,
            problems: problems.into_iter().map(Into::into).collect(),
            not_runnable: Vec::new(),
            plan: None,
        },
    };
    Ok(Json(result))
}

#[api_operation(
    operation_id = "readPipelinePlan",
    tag = "pipelines",
    summary = "Read the plan of a pipeline",
    description = "The segments that a run consists of, as JSON and as a Mermaid flowchart."
)]
pub async fn plan(
    state: Data<State>,
    member: Member<ReadPipelines>,
    path: Path<PipelinePath>,
    query: Query<PlanQuery>,
) -> Result<Json<PipelinePlan>, Problem> {
    let db = &state.platform.db;
    let found = service::find(db, member.workspace, PipelineId(path.0.pipeline)).await?;
    let version = service::find_version(db, &found, query.0.version.unwrap_or(found.version)).await?;
    let compiled = pipeline::compile(&version.definition).map_err(Problem::internal)?;
    Ok(Json(PipelinePlan::new(Some(version.number), &compiled.plan)))
}

#[api_operation(
    operation_id = "diffPipelineVersions",
    tag = "pipelines",
    summary = "Compare two versions of a pipeline",
    description = "Nodes that were added, removed or changed, by field, and edges; from the version before to the newest, unless the query names others."
)]
pub async fn diff(
    state: Data<State>,
    member: Member<ReadPipelines>,
    path: Path<PipelinePath>,
    query: Query<DiffQuery>,
) -> Result<Json<PipelineDiff>, Problem> {
    let db = &state.platform.db;
    let found = service::find(db, member.workspace, PipelineId(path.0.pipeline)).await?;
    let to = service::find_version(db, &found, query.0.to.unwrap_or(found.version)).await?;
    let before = (to.number - 1).max(1);
    let from = service::find_version(db, &found, query.0.from.unwrap_or(before)).await?;
    let [old, new] = [&from, &to].map(|version| pipeline::compile(&version.definition).map_err(Problem::internal));
    let result = difference::diff(&old?.definition, &new?.definition);
    Ok(Json(PipelineDiff::new(from.number, to.number, result)))
}

impl PipelinePlan {
    fn new(version: Option<i32>, plan: &pipeline::plan::Plan) -> Self {
        Self { version, segments: render::to_json(plan)["segments"].take(), mermaid: render::to_mermaid(plan) }
    }
}
