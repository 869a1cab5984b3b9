//! The slots of a lane. A slot asks for one job, sees it through, and asks for the next.

use std::{sync::Arc, time::Duration};

use nvisy_shared::{domain::job::Lane, lifecycle::Lifecycle, queue::Queue};

use super::attempt::Attempts;

/// Wait after NATS failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs one slot until the soft stop. It finishes the job at hand, or gives it back at the hard stop.
pub async fn run(lane: Lane, queue: Queue, attempts: Arc<Attempts>, lifecycle: Lifecycle) {
    let mut consumer = None;
    while !lifecycle.soft().is_cancelled() {
        let result = async {
            if consumer.is_none() {
                // A server that lost its disk comes back without our streams.
                queue.declare().await?;
                consumer = Some(queue.lane(lane).await?);
            }
            match &consumer {
                Some(consumer) => consumer.next().await,
                None => Ok(None),
            }
        };
        let delivery = tokio::select! {
            () = lifecycle.soft().cancelled() => return,
            delivery = result => delivery,
        };
        match delivery {
            Ok(Some(delivery)) => attempts.run(delivery, &lifecycle).await,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    lane = lane.name(),
                    "no jobs can be pulled, trying again"
                );
                consumer = None;
                tokio::select! {
                    () = lifecycle.soft().cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }
}
