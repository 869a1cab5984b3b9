//! The slots of a lane. A slot pulls one job, runs it to its outcome, and pulls the next.

use std::{sync::Arc, time::Duration};

use nvisy_shared::{
    domain::job::Lane,
    lifecycle::Lifecycle,
    queue::{PULL_TIMEOUT, Queue},
};

use super::JobRunner;

/// Wait before jobs are pulled again after NATS failed.
const PULL_RETRY_DELAY: Duration = Duration::from_secs(1);

/// How long a slot of a worker that takes jobs from their rows waits for a message, before it looks for such jobs again.
const TAKE_INTERVAL: Duration = Duration::from_secs(1);
/// The same behind a job that it took. Jobs that few workers can do and those of all take turns.
const TURN_TIMEOUT: Duration = Duration::from_millis(50);

/// Runs one slot until the soft stop. Then it finishes its current job, or hands it back at the hard stop.
pub async fn run(lane: Lane, queue: Queue, runner: Arc<JobRunner>, lifecycle: Lifecycle) {
    let (mut consumer, mut has_taken) = (None, false);
    while !lifecycle.soft().is_cancelled() {
        if !has_taken && let Some(claim) = runner.take(lane).await {
            runner.run_taken(claim, &lifecycle).await;
            has_taken = true;
            continue;
        }
        let timeout = match (runner.takes_jobs(), has_taken) {
            (false, _) => PULL_TIMEOUT,
            (true, false) => TAKE_INTERVAL,
            (true, true) => TURN_TIMEOUT,
        };
        has_taken = false;
        let result = async {
            if consumer.is_none() {
                // A NATS server that lost its disk comes back without the streams.
                queue.declare().await?;
                consumer = Some(queue.lane(lane).await?);
            }
            match &consumer {
                Some(consumer) => consumer.next(timeout).await,
                None => Ok(None),
            }
        };
        let delivery = tokio::select! {
            () = lifecycle.soft().cancelled() => return,
            delivery = result => delivery,
        };
        match delivery {
            Ok(Some(delivery)) => runner.run(delivery, &lifecycle).await,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    lane = lane.name(),
                    "no jobs can be pulled, retrying"
                );
                consumer = None;
                tokio::select! {
                    () = lifecycle.soft().cancelled() => return,
                    () = tokio::time::sleep(PULL_RETRY_DELAY) => {}
                }
            }
        }
    }
}
