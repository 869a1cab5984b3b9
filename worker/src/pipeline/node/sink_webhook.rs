//! Sink: delivers elements to a service of the tenant, before the job is completed: at least once.

use bytes::Bytes;
use nvisy_shared::pipeline::node::sink_webhook::SinkWebhook;
use serde_json::json;

use super::items::{batches, items};
use crate::{
    pipeline::{
        calling::{MAX_IGNORED_BYTES, Service, message_id},
        contract::{Behaviour, Call, Effect, Output},
        element::Elements,
    },
    runner::JobError,
};

impl Behaviour for SinkWebhook {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        // A branch that is not taken.
        if input.is_empty() {
            return Ok(Output::default());
        }
        if call.preview {
            return Ok(Output::effects(vec![Effect::Delivered { elements: input.len() as u64, url: None }]));
        }
        let items = items("sink.webhook", &input)?;
        let service =
            Service::open(call.cx, call.workspace, &self.url, self.request_timeout_seconds, MAX_IGNORED_BYTES).await?;
        for batch in batches(&items, self.batch_size)? {
            let body = json!({
                "type": "pipeline.delivered",
                "data": {
                    "workspaceId": call.workspace, "pipelineId": call.pipeline, "runId": call.run, "node": call.node,
                    "flow": input.flow().name(), "file": call.file.variables(input.flow()), "metadata": call.file.metadata,
                    "first": batch.start, "total": items.len(), "items": items[batch.clone()],
                },
            });
            // The same in each attempt of a run. A later run delivers again, since the file may have been obsolete in between.
            let (file, first) = (call.file.id.0, (batch.start as u64).to_le_bytes());
            let id = message_id(&[call.run.0.as_bytes(), call.node.as_bytes(), file.as_bytes(), &first]);
            service.post(&id, Bytes::from(body.to_string())).await?;
        }
        let elements = items.len() as u64;
        let url = self.deletions.then(|| self.url.clone());
        Ok(Output::effects(vec![Effect::Delivered { elements, url }]))
    }
}
