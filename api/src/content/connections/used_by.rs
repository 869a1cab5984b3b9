//! The pipelines that use a connection.

use actix_web::web::Data;
use apistos::{ApiComponent, api_operation};
use nvisy_shared::{id::ConnectionId, store};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{service, wire::ConnectionPath};
use crate::{
    auth::member::{Member, ReadConnections},
    http::extract::{Json, Path},
    problem::Problem,
    state::State,
};

/// The pipelines that use a connection.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionUsers {
    /// The pipelines whose newest definition names it, at most a thousand, oldest first.
    items: Vec<ConnectionUser>,
}

/// A pipeline that uses a connection.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionUser {
    /// The id of the pipeline.
    pipeline_id: Uuid,
    /// Its name.
    name: String,
    /// Its state: `draft`, `enabled` or `disabled`.
    state: String,
    /// The ids of the nodes that name the connection.
    nodes: Vec<String>,
}

#[api_operation(
    operation_id = "listConnectionUsers",
    tag = "connections",
    summary = "List the pipelines that use a connection",
    description = "Those whose newest definition names it. Deleting the connection, or disabling it, stops them."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadConnections>,
    path: Path<ConnectionPath>,
) -> Result<Json<ConnectionUsers>, Problem> {
    let (db, workspace) = (&state.platform.db, member.workspace);
    let row = service::find(db, workspace, ConnectionId(path.0.connection)).await?;
    let users = store::connection::users(db, workspace, row.id).await?;
    let items = users.into_iter().map(|user| ConnectionUser {
        pipeline_id: user.id.0,
        name: user.name,
        state: user.state,
        nodes: user.nodes,
    });
    Ok(Json(ConnectionUsers { items: items.collect() }))
}
