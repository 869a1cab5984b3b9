//! `webhook.tell_obsolete`: tells the receiver of a `sink.webhook` that its deliveries of a file are obsolete.

use async_trait::async_trait;
use bytes::Bytes;
use nvisy_shared::{
    domain::failure::Failure,
    id::WorkspaceId,
    job::TellObsolete,
    store::{
        self,
        change::Change,
        job::Claim,
        webhook_target::{Delivered, WebhookTarget},
    },
};
use serde_json::json;

use crate::{
    context::Context,
    pipeline::calling::{MAX_IGNORED_BYTES, Service, message_id},
    runner::{Handler, JobError, complete_in_tx},
};

/// Attempts at a receiver: with waits of up to five minutes, about two hours.
const ATTEMPTS: i32 = 30;
/// The longest time of a request, in seconds.
const TIMEOUT_SECONDS: u32 = 30;

#[async_trait]
impl Handler for TellObsolete {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let target = target(self, claim.workspace_id);
        // Delivered again meanwhile.
        let found = store::webhook_target::find_obsolete(&cx.db, &target).await?.ok_or(JobError::Obsolete)?;
        tell(cx, &target, &found).await?;
        complete_in_tx(cx, claim, || {
            let target = &target;
            async move |change: &mut Change| Ok(store::webhook_target::delete(change, target, found.run_id).await?)
        })
        .await
    }

    fn attempts(&self, _: &Context) -> i32 {
        ATTEMPTS
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, _: &Failure) -> Result<(), JobError> {
        let target = target(self, claim.workspace_id);
        if let Some(found) = store::webhook_target::find_obsolete(change.tx(), &target).await? {
            store::webhook_target::delete(change, &target, found.run_id).await?;
        }
        Ok(())
    }
}

fn target(job: &TellObsolete, workspace: WorkspaceId) -> WebhookTarget {
    WebhookTarget { workspace_id: workspace, pipeline_id: job.pipeline, node: job.node.clone(), file_id: job.file }
}

async fn tell(cx: &Context, target: &WebhookTarget, delivered: &Delivered) -> Result<(), JobError> {
    let body = json!({
        "type": "pipeline.deleted",
        "data": {
            "workspaceId": target.workspace_id, "pipelineId": target.pipeline_id, "runId": delivered.run_id,
            "node": target.node, "file": { "id": target.file_id },
        },
    });
    let service = Service::open(cx, target.workspace_id, &delivered.url, TIMEOUT_SECONDS, MAX_IGNORED_BYTES).await?;
    let run = delivered.run_id.0;
    let id = message_id(&[b"deleted", run.as_bytes(), target.node.as_bytes(), target.file_id.0.as_bytes()]);
    service.post(&id, Bytes::from(body.to_string())).await?;
    Ok(())
}
