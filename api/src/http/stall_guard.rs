//! Request bodies that stop arriving: the client is cut off instead of holding a connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{dev::Payload, error::PayloadError, web::Bytes};
use futures::{FutureExt, Stream, StreamExt};
use tokio::time::{Instant, Sleep};

use crate::problem::{Code, Problem};

/// The bytes that have to arrive within each wait: a client that trickles is cut off like one that is silent.
const MIN_BYTES: usize = 1024;

/// Whether a body ended because its client was too slow.
pub fn is_too_slow(error: &PayloadError) -> bool {
    matches!(error, PayloadError::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// 408: the body did not arrive in time.
pub fn too_slow() -> Problem {
    Problem::new(Code::RequestTimeout)
        .detail(format!("at least {MIN_BYTES} bytes of a body, or its end, must arrive within each wait"))
}

/// A body that fails when it stops arriving. Only the waits count, not the time that its consumer takes.
pub struct StallGuard {
    payload: Payload,
    wait: Duration,
    /// The rest of the wait for the next [`MIN_BYTES`].
    left: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    received: usize,
}

impl StallGuard {
    pub fn new(payload: Payload, wait: Duration) -> Self {
        Self { payload, wait, left: wait, waiting: None, received: 0 }
    }
}

impl Stream for StallGuard {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.payload.poll_next_unpin(cx);
        if polled.is_pending() {
            let left = self.left;
            let begin = || (Instant::now(), Box::pin(tokio::time::sleep(left)));
            let (_, timer) = self.waiting.get_or_insert_with(begin);
            return timer.poll_unpin(cx).map(|()| Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into()))));
        }
        if let Some((since, _)) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        if let Poll::Ready(Some(Ok(bytes))) = &polled {
            self.received += bytes.len();
            if self.received >= MIN_BYTES {
                (self.received, self.left) = (0, self.wait);
            }
        }
        polled
    }
}
