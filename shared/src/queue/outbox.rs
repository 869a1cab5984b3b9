//! The outbox: a transaction enqueues jobs together with the state that they work on.

use crate::{
    id::{JobId, WorkspaceId},
    job::Job,
    store::{self, Tx, job::NewJob},
    telemetry::propagation,
};

/// The channel on which PostgreSQL notifies of new rows.
pub(super) const NOTIFY_CHANNEL: &str = "nvisy_outbox";

/// Adds a job, which exists exactly if the transaction commits. It carries the trace of the caller.
pub async fn enqueue<J: Job>(tx: &Tx, workspace: WorkspaceId, job: &J) -> store::Result<JobId> {
    let job = new_job(workspace, job)?;
    let id = job.id;
    store::job::insert(tx, vec![job]).await?;
    Ok(id)
}

/// As [`enqueue`], of several jobs in one statement.
pub async fn enqueue_all<J: Job>(tx: &Tx, workspace: WorkspaceId, jobs: &[J]) -> store::Result<()> {
    let jobs = jobs.iter().map(|job| new_job(workspace, job)).collect::<store::Result<Vec<_>>>()?;
    store::job::insert(tx, jobs).await
}

fn new_job<J: Job>(workspace: WorkspaceId, job: &J) -> store::Result<NewJob> {
    let payload = serde_json::to_value(job).map_err(|error| store::Error::Json(error.to_string()))?;
    Ok(NewJob {
        id: JobId::new(),
        workspace_id: workspace,
        kind: J::KIND,
        version: J::VERSION,
        lane: job.lane(),
        level: job.level(),
        payload,
        run_id: job.run(),
        traceparent: propagation::current_traceparent(),
    })
}
