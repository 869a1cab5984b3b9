//! Deliveries of `sink.webhook` that are obsolete.

use std::error::Error;

use nvisy_shared::{
    job::TellObsolete,
    queue::outbox,
    store::{self, TransactionTrait},
};

use crate::context::Context;

/// Deliveries found at once.
const BATCH_SIZE: i64 = 200;

/// Lets a job tell the receiver of each delivery that is obsolete.
pub(super) async fn tell_obsolete(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let tx = cx.db.begin().await?;
        let targets = store::webhook_target::mark_obsolete(&tx, BATCH_SIZE).await?;
        for target in &targets {
            let job = TellObsolete { pipeline: target.pipeline_id, node: target.node.clone(), file: target.file_id };
            outbox::enqueue(&tx, target.workspace_id, &job).await?;
        }
        tx.commit().await?;
        if targets.is_empty() {
            return Ok(());
        }
    }
}
