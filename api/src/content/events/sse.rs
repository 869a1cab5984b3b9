//! Following a workspace's log: what is stored first, then what happens, without a gap and without a repetition, and for
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

use super::{
    stream_limit::Counted,
    wire::{COMMENT, Event},
};
use crate::auth::member::Right;

/// Events read from the database at once.
const BATCH: usize = 200;
/// Silence after which a comment is sent, and the database is asked whether the live feed has missed something.
const QUIET: Duration = Duration::from_secs(15);
/// A stream ends after this; the client comes back with its last event id.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Least time between two questions whether the caller may still listen: what happens meanwhile is sent together.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest time without that question, also when nothing happens.
const TRUST: Duration = Duration::from_secs(5);

/// One listener.
pub struct Follower {
    pub db: Db,
    /// Subscribed before the log is read: what happens in between comes twice rather than never.
    pub live: Receiver<Stored>,
    pub workspace: WorkspaceId,
    /// By what right they listen.
    pub right: Right,
    /// The place after which to begin; from then on that of the last event read.
    pub last: i64,
    /// The last place there was when the request was let in.
    pub newest: i64,
    pub lifecycle: Lifecycle,
    /// Ends with the stream.
    pub _counted: Counted,
}

/// Why the stream ends: the client reconnects and goes on where it was, or is told why it cannot.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the log cannot be read")]
    Store(#[from] store::Error),
    #[error("what comes next is not kept any more")]
    Forgotten,
}

struct Following {
    follower: Follower,
    /// Read and not sent yet, in order.
    ready: VecDeque<Stored>,
    /// The log may hold events that are not in `ready`.
    behind: bool,
    ends: Instant,
    /// When something was last sent.
    spoke: Instant,
    /// When the caller was last found to be allowed.
    asked: Instant,
    /// The last place that there was before that: up to here nothing can have happened after the right was lost.
    cleared: i64,
}

impl Follower {
    /// The events after `last` as server-sent events, until the caller may not listen any more, the process stops or the
    /// stream has lasted long enough.
    pub fn frames(self) -> impl Stream<Item = Result<Bytes, Broken>> {
        let now = Instant::now();
        let expires = self.right.until().map(|until| (until - clock::now()).to_std().unwrap_or_default());
        let following = Following {
            ready: VecDeque::new(),
            behind: true,
            ends: now + expires.map_or(LONGEST, |expires| expires.min(LONGEST)),
            spoke: now,
            asked: now,
            cleared: self.newest,
            follower: self,
        };
        stream::try_unfold(following, |mut following| async move {
            let frame = following.next().await?;
            following.spoke = Instant::now();
            Ok(frame.map(|frame| (frame, following)))
        })
    }
}

impl Following {
    async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            // Also in the middle of a long log: the client goes on where it was, with another replica or token.
            if self.follower.lifecycle.soft().is_cancelled() || self.ends <= Instant::now() {
                return Ok(None);
            }
            let first = self.ready.front().map(|event| event.seq);
            if first.is_some_and(|seq| seq <= self.cleared) && self.asked.elapsed() < TRUST {
                return Ok(self.ready.pop_front().map(|event| Event::from(event).frame()));
            }
            if self.behind && first.is_none() {
                self.catch_up().await?;
                continue;
            }
            let due = self.asked + if first.is_some() { PAUSE } else { TRUST };
            tokio::select! {
                () = self.follower.lifecycle.soft().cancelled() => return Ok(None),
                () = sleep_until(self.ends) => return Ok(None),
                () = sleep_until(due) => if !self.ask().await? { return Ok(None) },
                () = sleep_until(self.spoke + QUIET), if first.is_none() => {
                    self.behind = true;
                    return Ok(Some(COMMENT));
                }
                event = self.follower.live.recv(), if self.ready.len() < BATCH => match event {
                    Ok(event) => self.take(event),
                    Err(RecvError::Lagged(_)) => self.behind = true,
                    Err(RecvError::Closed) => return Ok(None),
                },
            }
        }
    }

    /// Whether the caller may still listen. Events are sent only if they were there before this was asked: one that
    /// happens after somebody was removed never reaches them.
    async fn ask(&mut self) -> Result<bool, Broken> {
        let (now, read) = (Instant::now(), self.follower.last);
        let holds = self.follower.right.holds(&self.follower.db).await?;
        (self.asked, self.cleared) = (now, self.cleared.max(read));
        Ok(holds)
    }

    /// The next in sequence goes straight on; one from further ahead says that something was missed.
    fn take(&mut self, event: Stored) {
        if event.workspace_id != self.follower.workspace || event.seq <= self.follower.last {
            return;
        }
        if event.seq == self.follower.last + 1 {
            self.follower.last = event.seq;
            self.ready.push_back(event);
        } else {
            self.behind = true;
        }
    }

    async fn catch_up(&mut self) -> Result<(), Broken> {
        let Follower { db, workspace, last, .. } = &mut self.follower;
        let events = store::event::after(db, *workspace, *last, BATCH as i64).await?.ok_or(Broken::Forgotten)?;
        self.behind = events.len() == BATCH;
        *last = events.last().map_or(*last, |event| event.seq);
        self.ready.extend(events);
        Ok(())
    }
}
