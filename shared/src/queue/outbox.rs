//! Asking for work inside the transaction that needs it: the one place where state and queue meet.

use crate::{
    id::{JobId, WorkspaceId},
    job::Job,
    store::{self, Tx, job::NewJob},
    telemetry::propagation,
};

/// The channel on which PostgreSQL tells of new rows.
pub(super) const CHANNEL: &str = "nvisy_outbox";

/// Adds a job. It exists when, and only when, the transaction commits; the trace of the caller goes with it.
pub async fn enqueue<J: Job>(tx: &Tx, workspace: WorkspaceId, job: &J) -> store::Result<JobId> {
    let payload = serde_json::to_value(job).map_err(|error| store::Error::Json(error.to_string()))?;
    store::job::insert(
        tx,
        NewJob {
            workspace_id: workspace,
            kind: J::KIND,
            version: J::VERSION,
            lane: J::LANE,
            payload,
            traceparent: propagation::current_traceparent(),
        },
    )
    .await
}
