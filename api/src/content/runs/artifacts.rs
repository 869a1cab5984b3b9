//! Operations that show the outputs of nodes, and their download part by part.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, web::Data};
use apistos::{api_operation, paths::Responses, reference_or::ReferenceOr};
use bytes::Bytes;
use nvisy_shared::{
    id::{ArtifactId, WorkspaceId},
    pipeline,
    store::{self, Db},
};
use serde_json::{Value, json};

use super::{
    service,
    wire::{Artifact, ArtifactPath, Artifacts, ItemPath, read_progress},
};
use crate::{
    auth::member::{AccessGrant, Member, ReadFiles, ReadPipelines},
    http::{
        api_component::api_component,
        attachment::{JSON_LINES, PartError, Parts, attachment, attachment_responses, json_lines},
        extract::{Json, Path},
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "listRunArtifacts",
    tag = "runs",
    summary = "List the artifacts of an item",
    description = "The outputs of nodes that are kept: those between the segments of the plan, those that sinks get in a run with a definition of its own, and those of every node of a preview. An artifact is deleted 30 days after its last use."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadPipelines>,
    path: Path<ItemPath>,
) -> Result<Json<Artifacts>, Problem> {
    let (db, workspace) = (&state.platform.db, member.workspace);
    let run = service::find(db, workspace, path.0.run).await?;
    let item = service::find_item(db, workspace, path.0.run, path.0.item).await?;
    let definition = store::run::definition(db, workspace, run.pipeline_id, run.pipeline_version).await?;
    let definition = definition.ok_or_else(Problem::not_found)?;
    let plan = pipeline::compile(&definition).map_err(Problem::internal)?.plan;
    let outputs = read_progress(&item)?.outputs;
    let ids = outputs.values().map(|output| output.artifact).collect();
    let rows = store::artifact::list(db, workspace, ids).await?;
    let mut rows: HashMap<ArtifactId, _> = rows.into_iter().map(|row| (row.id, row)).collect();
    let artifacts = outputs.into_iter().filter_map(|(origin, output)| {
        let step = plan.segments.get(origin.segment)?.steps.get(origin.step)?;
        let port = step.outputs.get(origin.output)?;
        let row = rows.remove(&output.artifact)?;
        Some(Artifact {
            id: row.id.0,
            node: step.id.clone(),
            port: port.name.clone(),
            flow: row.flow.name().to_owned(),
            elements: row.elements,
            complete: row.complete,
            created_at: row.created_at,
        })
    });
    Ok(Json(Artifacts { items: artifacts.collect() }))
}

#[api_operation(
    operation_id = "readRunArtifact",
    tag = "runs",
    summary = "Download an artifact",
    description = "One JSON object per line, one for each element. Chunks have the byte range of their text in the document."
)]
pub async fn read(
    state: Data<State>,
    member: Member<ReadFiles>,
    path: Path<ArtifactPath>,
) -> Result<ArtifactDownload, Problem> {
    let (db, workspace, ArtifactPath { run, item, artifact }) = (&state.platform.db, member.workspace, path.0);
    let item = service::find_item(db, workspace, run, item).await?;
    let artifact = ArtifactId(artifact);
    let is_of_item = read_progress(&item)?.outputs.values().any(|output| output.artifact == artifact);
    if !is_of_item || store::artifact::list(db, workspace, vec![artifact]).await?.is_empty() {
        return Err(Problem::not_found());
    }
    Ok(ArtifactDownload { db: db.clone(), access: member.access_grant(), workspace, artifact, next: 0, sent: 0 })
}

/// A response with the elements of an artifact.
pub struct ArtifactDownload {
    db: Db,
    /// Checked again at each part.
    access: AccessGrant,
    workspace: WorkspaceId,
    artifact: ArtifactId,
    /// The place of the next element.
    next: i64,
    /// The number of elements before it.
    sent: i64,
}

impl Parts for ArtifactDownload {
    async fn next(&mut self) -> Result<Option<Bytes>, PartError> {
        if !self.access.is_valid(&self.db).await? {
            return Err(PartError::AccessRevoked);
        }
        let part = store::artifact::next_part(&self.db, self.workspace, self.artifact, self.next).await?;
        let Some(part) = part else {
            // Meanwhile the artifact may be deleted, or be complete and have its elements at other places.
            let rows = store::artifact::list(&self.db, self.workspace, vec![self.artifact]).await?;
            let is_whole = rows.first().is_some_and(|row| !row.complete || i64::from(row.elements) == self.sent);
            return if is_whole { Ok(None) } else { Err(PartError::Changed) };
        };
        self.next = part.first + i64::from(part.elements.max(1));
        self.sent += i64::from(part.elements);
        let elements: Vec<Value> = serde_json::from_slice(&part.data)?;
        Ok(Some(json_lines(elements)?))
    }
}

impl Responder for ArtifactDownload {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        attachment(&format!("{}.jsonl", self.artifact), JSON_LINES, self)
    }
}

api_component!(ArtifactDownload {
    fn responses(_: Option<String>) -> Option<Responses> {
        let elements = serde_json::from_value(json!({ "type": "string", "format": "binary" })).ok()?;
        Some(attachment_responses([(JSON_LINES, ReferenceOr::Object(elements))]))
    }
});
