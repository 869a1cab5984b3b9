//! The reconciler: finds jobs whose lease expired or that JetStream lost, and makes them wait again.

use std::time::Duration;

use super::Queue;
use crate::{
    lifecycle::Lifecycle,
    store::{self, Db, job::QueuedJob},
};

/// Queued jobs checked in one round.
const BATCH_SIZE: i64 = 500;

/// Settings of a reconciler.
#[derive(Clone, Copy, Debug)]
pub struct Reconciler {
    /// How long a holder may be silent.
    pub lease: Duration,
}

impl Reconciler {
    /// Runs one round per lease until the soft stop.
    pub async fn run(self, db: Db, queue: Queue, lifecycle: Lifecycle) {
        loop {
            tokio::select! {
                () = lifecycle.soft().cancelled() => return,
                () = tokio::time::sleep(self.lease) => {}
            }
            if let Err(error) = self.round(&db, &queue).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "jobs cannot be reconciled, retrying");
            }
        }
    }

    /// Checks all jobs once. Jobs that NATS does not report on are left for the next round.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn round(&self, db: &Db, queue: &Queue) -> store::Result<()> {
        let expired = store::job::release_expired(db, self.lease).await?;
        if expired > 0 {
            tracing::warn!(jobs = expired, "workers stopped renewing their leases, their jobs wait again");
        }
        let suspects = store::job::queued_longer_than(db, self.lease, BATCH_SIZE).await?;
        let lost = self.lost(queue, suspects).await;
        if !lost.is_empty() {
            let released = store::job::requeue_lost(db, &lost).await?;
            tracing::warn!(jobs = released, "JetStream lost jobs, they wait again");
        }
        Ok(())
    }

    /// The jobs whose message JetStream no longer has. A job that only waits there for long is not among them.
    async fn lost(&self, queue: &Queue, suspects: Vec<QueuedJob>) -> Vec<QueuedJob> {
        let mut lost = Vec::new();
        let Ok(stream) = queue.jetstream.get_stream_no_info(queue.names.jobs_stream()).await else {
            return lost;
        };
        for suspect in suspects {
            let seq = u64::try_from(suspect.stream_seq).unwrap_or_default();
            match stream.get_raw_message(seq).await {
                // After a loss of its disk the server counts from 1 again: the sequence may belong to another job.
                Ok(message) if message.payload[..] == suspect.id.0.as_bytes()[..] => {}
                Ok(_) => lost.push(suspect),
                Err(error) if is_absent(&error) => lost.push(suspect),
                Err(_) => return lost,
            }
        }
        lost
    }
}

fn is_absent(error: &async_nats::jetstream::stream::RawMessageError) -> bool {
    use async_nats::jetstream::{ErrorCode, stream::RawMessageErrorKind};
    match error.kind() {
        RawMessageErrorKind::NoMessageFound => true,
        RawMessageErrorKind::JetStream(error) => error.error_code() == ErrorCode::NO_MESSAGE_FOUND,
        _ => false,
    }
}
