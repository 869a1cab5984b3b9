//! Checking a connection: a job, because credentials are opened in workers only.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    domain::{activity::Action, connection::CheckState},
    entity::connection::Model,
    id::{CheckId, ConnectionId},
    job::CheckConnection,
    queue::outbox,
    store,
};

use super::{
    response_wait::ResponseWait,
    service,
    wire::{Connection, ConnectionPath, RequestCheck},
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
    operation_id = "checkConnection",
    tag = "connections",
    summary = "Check a connection",
    description = "A worker tries each step: it looks whether the address may be called, and asks a model a short question, or lists a store of objects and reads the beginning of one. The response has the result; if that takes longer than `waitSeconds`, its state is `running`, and `readConnection` has the result later. A successful check lets work that waits for the connection go on."
)]
pub async fn check(
    state: Data<State>,
    member: Member<WriteConnections>,
    client: ClientInfo,
    path: Path<ConnectionPath>,
    body: Json<RequestCheck>,
) -> Result<Json<Connection>, Problem> {
    let (id, workspace, check) = (ConnectionId(path.0.connection), member.workspace, CheckId::new());
    let wait = ResponseWait::begin(&state, member.account, body.0.wait_seconds)?;
    let changes = member.changes(&state.platform, &client);
    changes
        .run(async |change| {
            let row = service::lock(change, &member, id, None).await?;
            store::connection::request_check(change, workspace, row.id, check).await?;
            outbox::enqueue(change, workspace, &CheckConnection { connection: row.id, check }).await?;
            change.audit(Action::ConnectionChecked, row.id);
            Ok::<_, Problem>(())
        })
        .await?;
    let row = decided(&state, &member, (id, check), &wait).await?;
    Ok(Json(service::view(&state.platform.db, workspace, row).await?))
}

/// The connection when the check has ended, or the wait is over.
async fn decided(
    state: &State,
    member: &Member<WriteConnections>,
    (id, check): (ConnectionId, CheckId),
    wait: &ResponseWait<'_>,
) -> Result<Model, Problem> {
    loop {
        let row = service::find(&state.platform.db, member.workspace, id).await?;
        let is_decided = row.check_id != Some(check) || row.check_state != Some(CheckState::Running);
        if is_decided || wait.is_over() {
            return Ok(row);
        }
        wait.pause().await;
    }
}
