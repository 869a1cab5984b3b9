//! The order of stopping: the API handles requests after the soft stop, and buffers get their last entries with the last
//! response.

use std::time::Duration;

use nvisy_shared::lifecycle::Lifecycle;
use tokio_util::sync::CancellationToken;

/// Tells the tasks that write buffers when the last request is finished.
#[derive(Clone, Debug)]
pub struct Shutdown {
    finished: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    pub fn new(lifecycle: &Lifecycle) -> Self {
        Self { finished: CancellationToken::new(), hard: lifecycle.hard().clone() }
    }

    /// Signals that the last request is finished.
    pub fn requests_finished(&self) {
        self.finished.cancel();
    }

    /// Whether the hard stop has come.
    pub fn is_hard(&self) -> bool {
        self.hard.is_cancelled()
    }

    /// Waits for `period`, or until the last request is finished or the hard stop comes: then `true`.
    pub async fn wait_or_stop(&self, period: Duration) -> bool {
        tokio::select! {
            () = self.finished.cancelled() => true,
            () = self.hard.cancelled() => true,
            () = tokio::time::sleep(period) => false,
        }
    }
}
