//! Questions to the system behind a connection: its streams, its first objects. Jobs answer them, because credentials are opened in
//! workers only.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    domain::{activity::Action, connection::ConnectionQuery},
    id::{ConnectionId, ConnectionQueryId},
    job::QueryConnection,
    queue::outbox,
    store,
};
use serde_json::json;

use super::{
    response_wait::ResponseWait,
    service,
    wire::{BrowseConnection, ConnectionPath, Objects, QueryState, RequestCheck, Streams},
};
use crate::{
    auth::member::{Member, WriteConnections},
    http::{
        client_info::ClientInfo,
        extract::{Json, Path},
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "discoverConnection",
    tag = "connections",
    summary = "Find the streams of a connection",
    description = "The parts that can be read on their own, with the `stream` of a `source.connection` for each: of a store of objects, its folders. A worker asks the system; if that takes longer than `waitSeconds`, the state is `running`, and the request can be repeated."
)]
pub async fn discover(
    state: Data<State>,
    member: Member<WriteConnections>,
    client: ClientInfo,
    path: Path<ConnectionPath>,
    body: Json<RequestCheck>,
) -> Result<Json<Streams>, Problem> {
    let query = ConnectionQuery::Discover;
    let asked = ask(&state, &member, &client, ConnectionId(path.0.connection), &query, body.0.wait_seconds).await?;
    let (state, answer, failure) = asked;
    let items = answer.map(serde_json::from_value).transpose().map_err(Problem::internal)?.unwrap_or_default();
    Ok(Json(Streams { state, items, failure }))
}

#[api_operation(
    operation_id = "browseConnection",
    tag = "connections",
    summary = "List the first objects of a connection",
    description = "Without their content, and without the patterns of any pipeline. A worker asks the system; if that takes longer than `waitSeconds`, the state is `running`, and the request can be repeated."
)]
pub async fn browse(
    state: Data<State>,
    member: Member<WriteConnections>,
    client: ClientInfo,
    path: Path<ConnectionPath>,
    body: Json<BrowseConnection>,
) -> Result<Json<Objects>, Problem> {
    let BrowseConnection { stream, limit, wait_seconds } = body.0;
    let query = ConnectionQuery::Browse { stream, limit };
    let asked = ask(&state, &member, &client, ConnectionId(path.0.connection), &query, wait_seconds).await?;
    let (state, answer, failure) = asked;
    let items = answer.map(serde_json::from_value).transpose().map_err(Problem::internal)?.unwrap_or_default();
    Ok(Json(Objects { state, items, failure }))
}

type AskedResult = (QueryState, Option<serde_json::Value>, Option<String>);

/// Lets a worker ask, and waits for the answer.
async fn ask(
    state: &State,
    member: &Member<WriteConnections>,
    client: &ClientInfo,
    connection: ConnectionId,
    query: &ConnectionQuery,
    wait_seconds: u16,
) -> Result<AskedResult, Problem> {
    let (id, workspace) = (ConnectionQueryId::new(), member.workspace);
    let wait = ResponseWait::begin(state, member.account, wait_seconds)?;
    member
        .changes(&state.platform, client)
        .run(async |change| {
            let row = service::lock(change, member, connection, None).await?;
            store::connection_query::insert(change, workspace, id, row.id, &json!(query)).await?;
            outbox::enqueue(change, workspace, &QueryConnection { query: id }).await?;
            change.audit_with(Action::ConnectionQueried, row.id, json!({ "query": query.name() }));
            Ok::<_, Problem>(())
        })
        .await?;
    loop {
        let asked = store::connection_query::find(&state.platform.db, workspace, id).await?;
        let asked = asked.ok_or_else(Problem::not_found)?;
        match (asked.answer, asked.failure) {
            (Some(answer), _) => return Ok((QueryState::Done, Some(answer), None)),
            (None, Some(failure)) => return Ok((QueryState::Failed, None, Some(failure))),
            (None, None) if wait.is_over() => return Ok((QueryState::Running, None, None)),
            (None, None) => {}
        }
        wait.pause().await;
    }
}
