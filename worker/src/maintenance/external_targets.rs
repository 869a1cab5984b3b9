//! What sinks have written outside and is obsolete.

use std::error::Error;

use nvisy_shared::{
    job::ClearTarget,
    queue::outbox,
    store::{self, TransactionTrait},
};

use crate::context::Context;

/// Targets found at once.
const BATCH_SIZE: i64 = 200;

/// Lets a job clear each target that is obsolete.
pub(super) async fn clear(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let tx = cx.db.begin().await?;
        let targets = store::external_target::take_obsolete(&tx, BATCH_SIZE).await?;
        for target in &targets {
            let job = ClearTarget {
                pipeline: target.pipeline_id,
                node: target.node.clone(),
                file: target.file_id,
                destination: target.destination.clone(),
            };
            outbox::enqueue(&tx, target.workspace_id, &job).await?;
        }
        tx.commit().await?;
        if targets.is_empty() {
            return Ok(());
        }
    }
}
