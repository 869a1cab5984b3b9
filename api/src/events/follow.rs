//! Following a workspace's log: what is stored first, then what happens, without a gap and without a repetition.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use nvisy_shared::{
    id::WorkspaceId,
    lifecycle::Lifecycle,
    store::{self, Db, event::Event as Stored},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};

use super::wire::{COMMENT, Event};

/// Events read from the database at once.
const BATCH: i64 = 200;
/// Silence after which a comment is sent, and the database is asked whether the live feed has missed something.
const QUIET: Duration = Duration::from_secs(15);
/// A stream ends after this; the client comes back with its last event id, and with a token that is still good.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// One listener.
pub(super) struct Follower {
    pub(super) db: Db,
    /// Subscribed before the log is read: what happens in between comes twice rather than never.
    pub(super) live: Receiver<Stored>,
    pub(super) workspace: WorkspaceId,
    /// The place of the last event sent.
    pub(super) last: i64,
    pub(super) lifecycle: Lifecycle,
}

/// Why the stream ends: the client reconnects and goes on where it was.
type Broken = store::Error;

struct Following {
    follower: Follower,
    ready: VecDeque<Stored>,
    ends: Instant,
    /// The log may hold events that are not in `ready`.
    behind: bool,
}

impl Follower {
    /// The events after `last` as server-sent events, until the process stops or the stream has lasted long enough.
    pub(super) fn frames(self) -> impl Stream<Item = Result<Bytes, Broken>> {
        let following =
            Following { follower: self, ready: VecDeque::new(), ends: Instant::now() + LONGEST, behind: true };
        stream::try_unfold(following, |mut following| async move {
            Ok(following.next().await?.map(|frame| (frame, following)))
        })
    }
}

impl Following {
    async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            // Also in the middle of a long log: the client goes on where it was, with another replica.
            if self.follower.lifecycle.soft().is_cancelled() {
                return Ok(None);
            }
            if let Some(event) = self.ready.pop_front() {
                self.follower.last = event.seq;
                return Ok(Some(Event::from(event).frame()));
            }
            if self.behind {
                self.catch_up().await?;
                continue;
            }
            tokio::select! {
                () = self.follower.lifecycle.soft().cancelled() => return Ok(None),
                () = tokio::time::sleep_until(self.ends) => return Ok(None),
                () = tokio::time::sleep(QUIET) => {
                    self.behind = true;
                    return Ok(Some(COMMENT));
                }
                event = self.follower.live.recv() => match event {
                    Ok(event) => self.take(event),
                    Err(RecvError::Lagged(_)) => self.behind = true,
                    Err(RecvError::Closed) => return Ok(None),
                },
            }
        }
    }

    /// The next in sequence goes straight on; one from further ahead says that something was missed.
    fn take(&mut self, event: Stored) {
        if event.workspace_id != self.follower.workspace || event.seq <= self.follower.last {
            return;
        }
        if event.seq == self.follower.last + 1 {
            self.ready.push_back(event);
        } else {
            self.behind = true;
        }
    }

    async fn catch_up(&mut self) -> Result<(), Broken> {
        let Follower { db, workspace, last, .. } = &self.follower;
        let events = store::event::after(db, *workspace, *last, BATCH).await?;
        self.behind = events.len() == BATCH as usize;
        self.ready.extend(events);
        Ok(())
    }
}
