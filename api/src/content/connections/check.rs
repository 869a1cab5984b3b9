//! Checking a connection: a job, because credentials are opened in workers only.

use std::time::Duration;

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
use tokio::time::{Instant, sleep};

use super::{
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

/// How often the result is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

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
    // A response that waits is a stream for as long as it waits.
    let _permit = match body.0.wait_seconds {
        0 => None,
        _ => Some(state.streams.acquire(member.account, state.platform.config.limit.account_streams)?),
    };
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
    let limit = Duration::from_secs(body.0.wait_seconds.into());
    let row = wait(&state, &member, (id, check), limit).await?;
    Ok(Json(service::view(&state.platform.db, workspace, row).await?))
}

/// Waits for the result without holding a connection of the pool.
async fn wait(
    state: &State,
    member: &Member<WriteConnections>,
    (id, check): (ConnectionId, CheckId),
    limit: Duration,
) -> Result<Model, Problem> {
    // The response must not come later than the server's limit.
    let longest = Duration::from_secs(state.platform.config.http.request_seconds / 2).min(limit);
    let deadline = Instant::now() + longest;
    loop {
        let row = service::find(&state.platform.db, member.workspace, id).await?;
        let decided = row.check_id != Some(check) || row.check_state != Some(CheckState::Running);
        if decided || deadline <= Instant::now() || state.lifecycle.soft().is_cancelled() {
            return Ok(row);
        }
        tokio::select! {
            () = sleep(POLL_INTERVAL) => {}
            () = state.lifecycle.soft().cancelled() => {}
        }
    }
}
