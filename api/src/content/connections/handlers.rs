//! The connection operations.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{entity::connection::Model, id::ConnectionId, store};

use super::{
    service,
    wire::{ChangeConnection, Connection, ConnectionPath, CreateConnection},
};
use crate::{
    auth::member::{Member, ReadConnections, WriteConnections},
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
    operation_id = "createConnection",
    tag = "connections",
    summary = "Create a connection",
    description = "Credentials are encrypted, and no response contains them. Nodes of pipelines name the connection by its id."
)]
pub async fn create(
    state: Data<State>,
    member: Member<WriteConnections>,
    key: IdempotencyKey,
    client: ClientInfo,
    body: Json<CreateConnection>,
) -> Result<Created<Connection>, Problem> {
    let body = body.0;
    // Without the credentials, of which not even a hash is kept.
    let content = (member.workspace, &body.name, &body.provider, &body.settings, body.enabled);
    let request = key.bind("createConnection", Some(member.account), &content);
    let created: Created<Connection> = idempotent(&member.changes(&state.platform, &client), request, async |change| {
        let created = service::create(change, &state.platform, &member, &body).await;
        created.map(|row| Connection::new(row, &[]))
    })
    .await?;
    Ok(created
        .with_location(|connection| format!("/api/v1/workspaces/{}/connections/{}", member.workspace, connection.id)))
}

#[api_operation(
    operation_id = "listConnections",
    tag = "connections",
    summary = "List connections",
    description = "Newest first."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadConnections>,
    query: Query<PageQuery>,
) -> Result<Json<Page<Connection>>, Problem> {
    let (db, query) = (&state.platform.db, query.0);
    let before = query.after()?.map(ConnectionId);
    let rows = store::connection::list(db, member.workspace, before, query.fetch_limit()).await?;
    let blocks = store::connection::blocks(db, member.workspace).await?;
    let connections: Vec<_> = rows.into_iter().map(|row| Connection::new(row, &blocks)).collect();
    Ok(Json(Page::new(&query, connections, |connection| connection.id)))
}

#[api_operation(
    operation_id = "readConnection",
    tag = "connections",
    summary = "Read a connection",
    description = "With its last check, and why it is not called for now."
)]
pub async fn read(
    state: Data<State>,
    member: Member<ReadConnections>,
    path: Path<ConnectionPath>,
) -> Result<Tagged<Connection>, Problem> {
    let row = service::find(&state.platform.db, member.workspace, ConnectionId(path.0.connection)).await?;
    tagged(&state, member.workspace, row).await
}

#[api_operation(
    operation_id = "updateConnection",
    tag = "connections",
    summary = "Change a connection",
    description = "Changes the fields in the body. Work that waits for the connection is tried again. With `If-Match`, only if the connection has not changed since the client read it."
)]
pub async fn update(
    state: Data<State>,
    member: Member<WriteConnections>,
    client: ClientInfo,
    expected: ExpectedRevisions,
    path: Path<ConnectionPath>,
    body: Json<ChangeConnection>,
) -> Result<Tagged<Connection>, Problem> {
    let id = ConnectionId(path.0.connection);
    let row = service::update(&state.platform, &member, &client, id, expected.revisions(), &body.0).await?;
    tagged(&state, member.workspace, row).await
}

#[api_operation(
    operation_id = "deleteConnection",
    tag = "connections",
    summary = "Delete a connection",
    description = "With its credentials. Items of pipelines that name it fail with `connection_not_found`. With `If-Match`, only if the connection has not changed since the client read it."
)]
pub async fn delete(
    state: Data<State>,
    member: Member<WriteConnections>,
    client: ClientInfo,
    expected: ExpectedRevisions,
    path: Path<ConnectionPath>,
) -> Result<NoContent, Problem> {
    let id = ConnectionId(path.0.connection);
    service::delete(&state.platform, &member, &client, id, expected.revisions()).await.map(|()| NoContent)
}

async fn tagged(
    state: &State,
    workspace: nvisy_shared::id::WorkspaceId,
    row: Model,
) -> Result<Tagged<Connection>, Problem> {
    let revision = row.revision;
    Ok(Tagged { revision, body: service::view(&state.platform.db, workspace, row).await? })
}
