//! Waiting for the end of a run.

use std::time::Duration;

use nvisy_shared::{
    domain::event::EventType,
    id::{RunId, WorkspaceId},
    store::{self, event::Event},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};

use super::service::RunRow;
use crate::{problem::Problem, state::State};

/// The database is asked this often, since the live feed may skip events.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Returns the run when it has ended, after `limit`, or when the process stops. No connection is held meanwhile.
pub async fn wait_for_end(
    state: &State,
    workspace: WorkspaceId,
    run: RunId,
    limit: Duration,
) -> Result<RunRow, Problem> {
    let deadline = Instant::now() + limit;
    let mut live = state.feed.listen();
    loop {
        let row = store::run::find(&state.platform.db, workspace, run).await?.ok_or_else(Problem::not_found)?;
        let stopping = state.lifecycle.soft().is_cancelled();
        if !row.state.is_open() || stopping || deadline <= Instant::now() {
            return Ok(row);
        }
        tokio::select! {
            () = ended(&mut live, run) => {}
            () = sleep_until(deadline.min(Instant::now() + POLL_INTERVAL)) => {}
            () = state.lifecycle.soft().cancelled() => {}
        }
    }
}

/// Returns at the event of the run's end, and where events were skipped.
async fn ended(live: &mut Receiver<Event>, run: RunId) {
    loop {
        match live.recv().await {
            Ok(event) if event.kind == EventType::RunEnded && event.subject_id == run.0 => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}
