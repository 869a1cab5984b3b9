//! `target.clear`: removes what a sink has written outside and is obsolete. The receiver of a `sink.webhook` is told, and rows and
//! objects behind a connection are deleted.

use std::time::Duration;

use bytes::Bytes;
use nvisy_shared::{
    domain::failure::Failure,
    id::WorkspaceId,
    job::ClearTarget,
    store::{
        self,
        change::Change,
        external_target::{Begun, Obsolete, TargetKey},
        job::Claim,
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    connectors::{
        CallFailure, ObjectPlace, OpenConnection, Place,
        gate::Gate,
        table::{self, OpenTarget},
    },
    context::Context,
    pipeline::{
        calling::{MAX_IGNORED_BYTES, Service, message_id},
        writing::{self, BUSY_DELAY},
    },
    runner::{Handler, JobError, complete_in_tx, write_in_tx},
};

/// Attempts at a system: with waits of up to five minutes, about two hours. Waits for a connection that is blocked cost none.
const ATTEMPTS: i32 = 30;
/// How much longer than a lease a job may go on that has lost it.
const WRITER_GRACE: Duration = Duration::from_secs(2);
/// The longest time of a request to a receiver, in seconds.
const TIMEOUT_SECONDS: u32 = 30;

impl Handler for ClearTarget {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        // A worker whose job was deleted with its file or pipeline may go on for a lease, and would write behind the deletion.
        if claim.epoch <= 1 {
            let what = "a job that writes for the same file may be ending";
            return Err(JobError::Snooze { what, delay: cx.lease() + WRITER_GRACE, source: None });
        }
        let key = key(self, claim.workspace_id);
        let begun = write_in_tx(cx, claim, || {
            let key = &key;
            async move |change: &mut Change| Ok(store::external_target::begin_clear(change, key, claim).await?)
        })
        .await?;
        let obsolete = match begun {
            Begun::Granted(obsolete) => obsolete,
            // Written again meanwhile.
            Begun::Superseded => return Err(JobError::Obsolete),
            Begun::Busy => {
                let what = "another job writes for the same file";
                return Err(JobError::Snooze { what, delay: BUSY_DELAY, source: None });
            }
        };
        match &obsolete.url {
            Some(url) => tell(cx, &key, &obsolete, url).await?,
            None => delete(cx, claim, &key, &obsolete).await?,
        }
        complete_in_tx(cx, claim, || {
            let key = &key;
            async move |change: &mut Change| Ok(store::external_target::delete(change, key).await?)
        })
        .await
    }

    fn attempts(&self, _: &Context) -> i32 {
        ATTEMPTS
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, _: &Failure) -> Result<(), JobError> {
        Ok(store::external_target::delete(change, &key(self, claim.workspace_id)).await?)
    }
}

fn key(job: &ClearTarget, workspace: WorkspaceId) -> TargetKey {
    TargetKey {
        workspace_id: workspace,
        pipeline_id: job.pipeline,
        node: job.node.clone(),
        file_id: job.file,
        destination: job.destination.clone(),
    }
}

async fn tell(cx: &Context, key: &TargetKey, obsolete: &Obsolete, url: &str) -> Result<(), JobError> {
    let body = json!({
        "type": "pipeline.deleted",
        "data": {
            "workspaceId": key.workspace_id, "pipelineId": key.pipeline_id, "runId": obsolete.run_id,
            "node": key.node, "file": { "id": key.file_id },
        },
    });
    let service = Service::open(cx, key.workspace_id, url, TIMEOUT_SECONDS, MAX_IGNORED_BYTES).await?;
    let run = obsolete.run_id.0;
    let id = message_id(&[b"deleted", run.as_bytes(), key.node.as_bytes(), key.file_id.0.as_bytes()]);
    service.post(&id, Bytes::from(body.to_string())).await?;
    Ok(())
}

async fn delete(cx: &Context, claim: &Claim, key: &TargetKey, obsolete: &Obsolete) -> Result<(), JobError> {
    let (Some(id), Some(place)) = (obsolete.connection_id, &obsolete.place) else { return Ok(()) };
    let Some(connection) = OpenConnection::find(cx, key.workspace_id, id).await? else {
        // Nothing leads to the rows any more.
        tracing::info!(connection.id = %id, "rows stay behind a connection that was deleted");
        return Ok(());
    };
    let gate = Gate::of(cx, &connection);
    gate.check_circuit().await?;
    gate.begin(claim).await?;
    let target = match table::open_target(cx, &connection) {
        Ok(target) => target,
        Err(CallFailure::Item(failure)) => return Err(JobError::Fail(failure)),
        Err(failure) => return Err(gate.failed(failure).await?),
    };
    let ids = (0..u32::try_from(obsolete.written).unwrap_or_default()).map(|ordinal| writing::row_id(key, ordinal));
    match &target {
        OpenTarget::Rows(target) => {
            writing::delete(&gate, &**target, &read::<Place>(place)?, &ids.collect::<Vec<_>>()).await
        }
        OpenTarget::Objects(target) => {
            writing::delete_objects(&gate, &**target, &read::<ObjectPlace>(place)?, ids).await
        }
    }
}

/// What the sink has said of the place.
fn read<T: DeserializeOwned>(place: &Value) -> Result<T, JobError> {
    T::deserialize(place).map_err(JobError::retry("a target cannot be read"))
}
