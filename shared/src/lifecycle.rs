//! Stopping a process: first softly, then hard.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long tasks may take to release their resources after the hard stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// The stop signals of a process. Every long-running task holds them.
///
/// After the soft stop a task accepts no new work and finishes its current work. After the hard stop it drops its current work,
/// which another process will repeat.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tracker: TaskTracker,
}

impl Lifecycle {
    /// A lifecycle of a running process.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled at the soft stop.
    #[must_use]
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled at the hard stop.
    #[must_use]
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Runs a task that the hard stop drops. [`Lifecycle::finish`] waits for it.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let hard = self.hard.clone();
        self.spawn_graceful(async move {
            tokio::select! {
                () = task => {}
                () = hard.cancelled() => {}
            }
        });
    }

    /// Runs a task that handles the hard stop itself, because it must release a resource.
    pub fn spawn_graceful<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(task);
    }

    /// Stops all tasks softly, waits for them at most for `grace`, then stops the remaining ones hard. Returns whether all finished
    /// in time.
    pub async fn finish(&self, grace: Duration) -> bool {
        self.soft.cancel();
        self.tracker.close();
        let in_time = tokio::select! {
            () = self.tracker.wait() => true,
            () = tokio::time::sleep(grace) => false,
            () = self.hard.cancelled() => false,
        };
        self.hard.cancel();
        let _ = tokio::time::timeout(SHUTDOWN_GRACE, self.tracker.wait()).await;
        in_time
    }

    /// Waits for SIGTERM or SIGINT and stops softly. A second signal stops hard.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub async fn stop_on_signal(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = self.soft.cancelled() => {}
        }
        tracing::info!("stopping: finishing the work in progress, a second signal stops at once");
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
