//! The pipeline operations.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    id::PipelineId,
    store::{self, pipeline},
};

use super::{
    service,
    wire::{
        ChangePipeline, CreatePipeline, Pipeline, PipelineDocument, PipelinePath, PipelineSummary, PipelineVersion,
        PipelineVersionSummary, VersionPath,
    },
};
use crate::{
    auth::member::{Member, ReadPipelines, WritePipelines},
    definition::compile,
    http::{
        client_info::ClientInfo,
        etag::{ExpectedRevisions, Tagged},
        extract::{Json, Path},
        idempotency::{IdempotencyKey, idempotent},
        pagination::{Page, PageQuery},
        query::Query,
        status_json::{Created, NoContent},
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "createPipeline",
    tag = "pipelines",
    summary = "Create a pipeline",
    description = "Stores a valid definition as a draft. An export is imported like this: it is a body of this operation. An invalid definition is 422, with every problem."
)]
pub async fn create(
    state: Data<State>,
    member: Member<WritePipelines>,
    key: IdempotencyKey,
    client: ClientInfo,
    body: Json<CreatePipeline>,
) -> Result<Created<Pipeline>, Problem> {
    let (name, json) = (body.0.name.trim(), &body.0.definition);
    let definition = compile(json)?.definition;
    let request = key.bind("createPipeline", Some(member.account), &(member.workspace, name, json));
    let created: Created<Pipeline> = idempotent(&member.changes(&state.platform, &client), request, async |change| {
        let pipeline = service::create(change, &member, name, &definition).await?;
        Ok(Pipeline::new(pipeline, definition.to_json()))
    })
    .await?;
    Ok(created.with_location(|pipeline| format!("/api/v1/workspaces/{}/pipelines/{}", member.workspace, pipeline.id)))
}

#[api_operation(
    operation_id = "listPipelines",
    tag = "pipelines",
    summary = "List pipelines",
    description = "Newest first, without their definitions."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadPipelines>,
    query: Query<PageQuery>,
) -> Result<Json<Page<PipelineSummary>>, Problem> {
    let query = query.0;
    let before = query.after()?.map(PipelineId);
    let rows = pipeline::list(&state.platform.db, member.workspace, before, query.fetch_limit()).await?;
    Ok(Json(Page::new(&query, rows, |pipeline| pipeline.id.0)))
}

#[api_operation(
    operation_id = "readPipeline",
    tag = "pipelines",
    summary = "Read a pipeline",
    description = "With its newest definition."
)]
pub async fn read(
    state: Data<State>,
    member: Member<ReadPipelines>,
    path: Path<PipelinePath>,
) -> Result<Tagged<Pipeline>, Problem> {
    let found = service::find(&state.platform.db, member.workspace, PipelineId(path.0.pipeline)).await?;
    let version = service::find_version(&state.platform.db, &found, found.version).await?;
    Ok(tagged(found, version.definition))
}

#[api_operation(
    operation_id = "updatePipeline",
    tag = "pipelines",
    summary = "Change a pipeline",
    description = "Changes the fields in the body. A different definition becomes a new version; runs keep the version that they began with. What an enabled pipeline refers to must exist: its collections, and the pipelines that it runs after. With `If-Match`, only if the pipeline has not changed since the client read it."
)]
pub async fn update(
    state: Data<State>,
    member: Member<WritePipelines>,
    client: ClientInfo,
    expected: ExpectedRevisions,
    path: Path<PipelinePath>,
    body: Json<ChangePipeline>,
) -> Result<Tagged<Pipeline>, Problem> {
    let id = PipelineId(path.0.pipeline);
    let change = body.0.into();
    let (changed, definition) =
        service::update(&state.platform, &member, &client, id, expected.revisions(), change).await?;
    Ok(tagged(changed, definition))
}

#[api_operation(
    operation_id = "deletePipeline",
    tag = "pipelines",
    summary = "Delete a pipeline",
    description = "With all its versions and runs, of which those in progress are cancelled; search finds nothing any more of what it has written. The built-in pipeline can only be disabled. With `If-Match`, only if the pipeline has not changed since the client read it."
)]
pub async fn delete(
    state: Data<State>,
    member: Member<WritePipelines>,
    client: ClientInfo,
    expected: ExpectedRevisions,
    path: Path<PipelinePath>,
) -> Result<NoContent, Problem> {
    let id = PipelineId(path.0.pipeline);
    service::delete(&state.platform, &member, &client, id, expected.revisions()).await.map(|()| NoContent)
}

#[api_operation(
    operation_id = "exportPipeline",
    tag = "pipelines",
    summary = "Export a pipeline",
    description = "Name and newest definition, as `createPipeline` takes them: a pipeline that is created from an export has the same definition."
)]
pub async fn export(
    state: Data<State>,
    member: Member<ReadPipelines>,
    path: Path<PipelinePath>,
) -> Result<Json<PipelineDocument>, Problem> {
    let found = service::find(&state.platform.db, member.workspace, PipelineId(path.0.pipeline)).await?;
    let version = service::find_version(&state.platform.db, &found, found.version).await?;
    Ok(Json(PipelineDocument { name: found.name, definition: version.definition }))
}

#[api_operation(
    operation_id = "listPipelineVersions",
    tag = "pipelines",
    summary = "List the versions of a pipeline",
    description = "Newest first, without their definitions."
)]
pub async fn list_versions(
    state: Data<State>,
    member: Member<ReadPipelines>,
    path: Path<PipelinePath>,
    query: Query<PageQuery>,
) -> Result<Json<Page<PipelineVersionSummary>>, Problem> {
    let (query, db) = (query.0, &state.platform.db);
    let found = service::find(db, member.workspace, PipelineId(path.0.pipeline)).await?;
    let limit = query.fetch_limit();
    let rows = store::pipeline::list_versions(db, member.workspace, found.id, query.after()?, limit).await?;
    Ok(Json(Page::new(&query, rows, |version| version.number)))
}

#[api_operation(
    operation_id = "readPipelineVersion",
    tag = "pipelines",
    summary = "Read a version of a pipeline",
    description = "Versions never change."
)]
pub async fn read_version(
    state: Data<State>,
    member: Member<ReadPipelines>,
    path: Path<VersionPath>,
) -> Result<Json<PipelineVersion>, Problem> {
    let db = &state.platform.db;
    let found = service::find(db, member.workspace, PipelineId(path.0.pipeline)).await?;
    Ok(Json(service::find_version(db, &found, path.0.version).await?.into()))
}

fn tagged(pipeline: service::PipelineRow, definition: serde_json::Value) -> Tagged<Pipeline> {
    Tagged { revision: pipeline.revision, body: Pipeline::new(pipeline, definition) }
}
