//! The end of the API: after the soft stop requests are still answered, and only after the last of them is there nothing
//! more to write.

use std::time::Duration;

use nvisy_shared::lifecycle::Lifecycle;
use tokio_util::sync::CancellationToken;

/// Tells tasks that write what requests left in memory when the last of it is there.
#[derive(Debug)]
pub struct Closing {
    served: CancellationToken,
    hard: CancellationToken,
}

impl Closing {
    pub fn new(lifecycle: &Lifecycle) -> Self {
        Self { served: CancellationToken::new(), hard: lifecycle.hard().clone() }
    }

    /// The last request has been answered.
    pub fn all_served(&self) {
        self.served.cancel();
    }

    /// Waits so long, or until there will be no more to write; whether that is so. The hard stop is such an end, too.
    pub async fn pause(&self, period: Duration) -> bool {
        tokio::select! {
            () = self.served.cancelled() => true,
            () = self.hard.cancelled() => true,
            () = tokio::time::sleep(period) => false,
        }
    }
}
