//! Stopping: first politely, then at once.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long parts may take to give back what they hold after the hard stop.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What every long-running part of a process holds.
///
/// `soft` says: take nothing new, finish what you have. `hard` says: drop what you have; somebody else will do it again.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tracker: TaskTracker,
}

impl Lifecycle {
    /// A lifecycle that nothing stops yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the process should take no new work.
    #[must_use]
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when work in progress should be dropped.
    #[must_use]
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Runs a part of the process; [`Lifecycle::finish`] waits for it. It is dropped at the hard stop.
    pub fn spawn<F>(&self, part: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let hard = self.hard.clone();
        self.spawn_careful(async move {
            tokio::select! {
                () = part => {}
                () = hard.cancelled() => {}
            }
        });
    }

    /// Runs a part that watches for the hard stop itself, because it has something to give back.
    pub fn spawn_careful<F>(&self, part: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(part);
    }

    /// Asks every part to stop, waits until they have or `grace` is over, then stops the rest hard.
    /// Returns whether all of them finished in time.
    pub async fn finish(&self, grace: Duration) -> bool {
        self.soft.cancel();
        self.tracker.close();
        let in_time = tokio::select! {
            () = self.tracker.wait() => true,
            () = tokio::time::sleep(grace) => false,
            () = self.hard.cancelled() => false,
        };
        self.hard.cancel();
        let _ = tokio::time::timeout(LAST_WORDS, self.tracker.wait()).await;
        in_time
    }

    /// Stops softly at the first SIGTERM or SIGINT and hard at the second. Returns at the first.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub async fn until_signal(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = self.soft.cancelled() => {}
        }
        tracing::info!("stopping: finishing what is in progress, a second signal stops at once");
        self.soft.cancel();
        let hard = self.hard.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!("stopping at once");
            hard.cancel();
        });
        Ok(())
    }
}
