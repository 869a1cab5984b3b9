//! The options `concurrency` and `rateLimit` of nodes, which hold for all workers together. A job that has to wait costs no attempt.

use std::time::Duration;

use nvisy_shared::{
    pipeline::plan::Step,
    store::{self, TransactionTrait, job::Claim, rate_limit::Rate, run_item::Item},
};

use crate::{context::Context, runner::JobError};

/// How long a job waits for another call of the node to end.
const WAIT_FOR_CALL: Duration = Duration::from_millis(250);
/// Longest wait for a rate limit before it is asked again.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Takes a call of each of these nodes that limits its calls, or of none. The places of `concurrency` come first: they are free again
/// when the job waits, and tokens of a `rateLimit` would be spent.
///
/// # Errors
/// [`JobError::Snooze`] while there is none.
pub async fn admit(cx: &Context, claim: &Claim, item: &Item, steps: &[&Step]) -> Result<(), JobError> {
    for step in steps {
        let Some(limit) = step.options.concurrency else { continue };
        let tx = cx.db.begin().await?;
        let admitted = store::node_call::begin(&tx, item.run_id, &step.id, claim, i64::from(limit)).await?;
        tx.commit().await?;
        if !admitted {
            let what = "as many calls of the node as its option `concurrency` allows are in progress";
            return Err(JobError::Snooze { what, delay: WAIT_FOR_CALL, source: None });
        }
    }
    let mut taken: Vec<(Vec<u8>, Rate)> = Vec::new();
    for step in steps {
        let Some(limit) = step.options.rate_limit else { continue };
        let rate = Rate { capacity: limit.calls, per_second: f64::from(limit.calls) / f64::from(limit.per_seconds) };
        let key = [b"node:".as_slice(), item.pipeline_id.0.as_bytes(), step.id.as_bytes()].concat();
        let grant = store::rate_limit::take(&cx.db, &key, rate, 1).await?;
        if grant.granted == 0 {
            for (key, rate) in &taken {
                store::rate_limit::refund(&cx.db, key, *rate).await?;
            }
            let wait = Duration::try_from_secs_f64((1.0 - grant.tokens) / rate.per_second).unwrap_or(MAX_WAIT);
            let what = "the node has been called as often as its option `rateLimit` allows";
            return Err(JobError::Snooze { what, delay: wait.min(MAX_WAIT), source: None });
        }
        taken.push((key, rate));
    }
    Ok(())
}
