//! EventStreamState a workspace's log: what is stored first, then what happens, without a gap and without a repetition, and for
//! as long as the caller may.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use nvisy_shared::{
    clock,
    id::WorkspaceId,
    lifecycle::Lifecycle,
    store::{self, Db, event::Event as Stored},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};

use super::wire::{COMMENT, Event};
use crate::{auth::member::AccessGrant, http::stream_limit::StreamPermit};

/// Events read from the database at once.
const BATCH_SIZE: usize = 200;
/// Silence after which a comment is sent, and the database is last_checked whether the live feed has missed something.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// A stream ends after this; the client comes back with its last event id.
const MAX_STREAM_DURATION: Duration = Duration::from_secs(15 * 60);
/// Least time between two questions whether the caller may still listen: what happens meanwhile is sent together.
const MIN_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Longest time without that question, also when nothing happens.
const MAX_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// One listener.
pub struct Subscription {
    pub db: Db,
    /// Subscribed before the log is read: what happens in between comes twice rather than never.
    pub live: Receiver<Stored>,
    pub workspace: WorkspaceId,
    /// By what right they listen.
    pub right: AccessGrant,
    /// The place after which to begin; from then on that of the last event read.
    pub last: i64,
    /// The last place there was when the request was let in.
    pub newest: i64,
    pub lifecycle: Lifecycle,
    /// Ends with the stream.
    pub _permit: StreamPermit,
}

/// Why the stream ends: the client reconnects and goes on where it was, or is told why it cannot.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error("the log cannot be read")]
    Store(#[from] store::Error),
    #[error("what comes next is not kept any more")]
    Forgotten,
}

struct EventStreamState {
    subscription: Subscription,
    /// Read and not sent yet, in order.
    ready: VecDeque<Stored>,
    /// The log may hold events that are not in `ready`.
    behind: bool,
    ends: Instant,
    /// When something was last sent.
    last_sent: Instant,
    /// When the caller was last found to be allowed.
    last_checked: Instant,
    /// The last place that there was before that: up to here nothing can have happened after the right was lost.
    authorized_through: i64,
}

impl Subscription {
    /// The events after `last` as server-sent events, until the caller may not listen any more, the process stops or the
    /// stream has lasted long enough.
    pub fn frames(self) -> impl Stream<Item = Result<Bytes, StreamError>> {
        let now = Instant::now();
        let expires = self.right.expires_at().map(|until| (until - clock::now()).to_std().unwrap_or_default());
        let state = EventStreamState {
            ready: VecDeque::new(),
            behind: true,
            ends: now + expires.map_or(MAX_STREAM_DURATION, |expires| expires.min(MAX_STREAM_DURATION)),
            last_sent: now,
            last_checked: now,
            authorized_through: self.newest,
            subscription: self,
        };
        stream::try_unfold(state, |mut state| async move {
            let frame = state.next().await?;
            state.last_sent = Instant::now();
            Ok(frame.map(|frame| (frame, state)))
        })
    }
}

impl EventStreamState {
    async fn next(&mut self) -> Result<Option<Bytes>, StreamError> {
        loop {
            // Also in the middle of a long log: the client goes on where it was, with another replica or token.
            if self.subscription.lifecycle.soft().is_cancelled() || self.ends <= Instant::now() {
                return Ok(None);
            }
            let first = self.ready.front().map(|event| event.seq);
            if first.is_some_and(|seq| seq <= self.authorized_through)
                && self.last_checked.elapsed() < MAX_CHECK_INTERVAL
            {
                return Ok(self.ready.pop_front().map(|event| Event::from(event).frame()));
            }
            if self.behind && first.is_none() {
                self.catch_up().await?;
                continue;
            }
            let due = self.last_checked + if first.is_some() { MIN_CHECK_INTERVAL } else { MAX_CHECK_INTERVAL };
            tokio::select! {
                () = self.subscription.lifecycle.soft().cancelled() => return Ok(None),
                () = sleep_until(self.ends) => return Ok(None),
                () = sleep_until(due) => if !self.check_access().await? { return Ok(None) },
                () = sleep_until(self.last_sent + KEEPALIVE_INTERVAL), if first.is_none() => {
                    self.behind = true;
                    return Ok(Some(COMMENT));
                }
                event = self.subscription.live.recv(), if self.ready.len() < BATCH_SIZE => match event {
                    Ok(event) => self.take(event),
                    Err(RecvError::Lagged(_)) => self.behind = true,
                    Err(RecvError::Closed) => return Ok(None),
                },
            }
        }
    }

    /// Whether the caller may still listen. The stream sends only events that existed before this check, so events after a
    /// member's removal never reach that member.
    async fn check_access(&mut self) -> Result<bool, StreamError> {
        let (now, read) = (Instant::now(), self.subscription.last);
        let holds = self.subscription.right.is_valid(&self.subscription.db).await?;
        (self.last_checked, self.authorized_through) = (now, self.authorized_through.max(read));
        Ok(holds)
    }

    /// The next in sequence goes straight on; one from further ahead says that something was missed.
    fn take(&mut self, event: Stored) {
        if event.workspace_id != self.subscription.workspace || event.seq <= self.subscription.last {
            return;
        }
        if event.seq == self.subscription.last + 1 {
            self.subscription.last = event.seq;
            self.ready.push_back(event);
        } else {
            self.behind = true;
        }
    }

    async fn catch_up(&mut self) -> Result<(), StreamError> {
        let Subscription { db, workspace, last, .. } = &mut self.subscription;
        let events =
            store::event::after(db, *workspace, *last, BATCH_SIZE as i64).await?.ok_or(StreamError::Forgotten)?;
        self.behind = events.len() == BATCH_SIZE;
        *last = events.last().map_or(*last, |event| event.seq);
        self.ready.extend(events);
        Ok(())
    }
}
