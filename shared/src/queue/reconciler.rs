//! The reconciler: finds jobs that somebody forgot, and lets them wait for their turn again.

use std::time::Duration;

use super::Queue;
use crate::{
    lifecycle::Lifecycle,
    store::{self, Db, job::QueuedJob},
};

/// Jobs looked at in one round.
const BATCH: i64 = 500;

/// Settings of a reconciler.
#[derive(Clone, Copy, Debug)]
pub struct Reconciler {
    /// How long a holder may be silent.
    pub lease: Duration,
}

impl Reconciler {
    /// Reconciles once a lease until the soft stop.
    pub async fn run(self, db: Db, queue: Queue, lifecycle: Lifecycle) {
        loop {
            tokio::select! {
                () = lifecycle.soft().cancelled() => return,
                () = tokio::time::sleep(self.lease) => {}
            }
            if let Err(error) = self.round(&db, &queue).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "reconciling jobs failed, trying again");
            }
        }
    }

    /// One look at everything.
    ///
    /// # Errors
    /// The database's. What NATS does not answer is left for the next round.
    pub async fn round(&self, db: &Db, queue: &Queue) -> store::Result<()> {
        let silent = store::job::release_expired(db, self.lease).await?;
        if silent > 0 {
            tracing::warn!(jobs = silent, "workers fell silent: their jobs wait again");
        }
        let suspects = store::job::queued_longer_than(db, self.lease, BATCH).await?;
        let forgotten = self.forgotten(queue, suspects).await;
        if !forgotten.is_empty() {
            let released = store::job::requeue_lost(db, &forgotten).await?;
            tracing::warn!(jobs = released, "JetStream has forgotten jobs: they wait again");
        }
        Ok(())
    }

    /// Those of which JetStream has no message any more. A job that merely waits long there is left alone.
    async fn forgotten(&self, queue: &Queue, suspects: Vec<QueuedJob>) -> Vec<QueuedJob> {
        let mut forgotten = Vec::new();
        let Ok(stream) = queue.jetstream.get_stream_no_info(queue.names.jobs_stream()).await else {
            return forgotten;
        };
        for suspect in suspects {
            let seq = u64::try_from(suspect.stream_seq).unwrap_or_default();
            match stream.get_raw_message(seq).await {
                // After a loss of its disk the server counts from 1 again: the place may be another job's.
                Ok(message) if message.payload[..] == suspect.id.0.as_bytes()[..] => {}
                Ok(_) => forgotten.push(suspect),
                Err(error) if is_absent(&error) => forgotten.push(suspect),
                Err(_) => return forgotten,
            }
        }
        forgotten
    }
}

fn is_absent(error: &async_nats::jetstream::stream::RawMessageError) -> bool {
    use async_nats::jetstream::{ErrorCode, stream::RawMessageErrorKind as Kind};
    match error.kind() {
        Kind::NoMessageFound => true,
        Kind::JetStream(error) => error.error_code() == ErrorCode::NO_MESSAGE_FOUND,
        _ => false,
    }
}
