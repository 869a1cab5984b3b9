//! `space.clear`: deletes the vectors of a collection's second space, part by part.

use nvisy_shared::{
    domain::failure::Failure,
    job::ClearSpace,
    queue::outbox,
    store::{self, change::Change, job::Claim},
};

use crate::{
    context::Context,
    runner::{Handler, JobError, complete_in_tx},
};

/// Vectors of one transaction.
const BATCH_VECTORS: i64 = 5_000;

impl Handler for ClearSpace {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        complete_in_tx(cx, claim, || {
            async move |change: &mut Change| {
                if !store::second_space::clear(change, workspace, self.collection, BATCH_VECTORS).await? {
                    outbox::enqueue(change, workspace, self).await?;
                }
                Ok(())
            }
        })
        .await
    }

    async fn give_up(&self, _: &mut Change, _: &Claim, _: &Failure) -> Result<(), JobError> {
        // The dead job says why; it can be retried.
        Ok(())
    }
}
