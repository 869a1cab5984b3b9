//! Failed logins on their way into the activity log.
//!
//! The log only grows, and callers may fail as often as they like. So a failed login writes nothing itself, which takes
//! equally long for every name: it is buffered, and a task writes. The first failure of its kind is written within a second;
//! more of the same from the same network are counted, and become one entry after a minute.

use std::{
    collections::HashMap,
    error::Error,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use nvisy_shared::{
    clock,
    domain::activity::{Action, Actor},
    platform::Platform,
    store::{
        self,
        activity::{ACCOUNT_CHAIN, ActorContext, AuditEntry},
        change::ChangeScope,
    },
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    http::{client_info::ClientInfo, client_network::ClientNetwork},
    shutdown::Shutdown,
};

/// A killed process loses the failures of this time, and its counts.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Between two attempts to write the last batch.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How long repetitions are only counted.
const AGGREGATION_WINDOW: Duration = Duration::from_secs(60);
/// The number of kinds and networks that are distinguished at a time. Beyond it, failures are counted by account whatever
/// the network, for as many accounts again; beyond that, all together.
const MAX_KEYS: usize = 10_000;
/// Entries of one transaction, which locks the accounts' log.
const BATCH_SIZE: usize = 1_000;

/// A failed login, or a wrong password of a signed-in account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FailedLogin {
    actor: Actor,
    action: Action,
    account: Uuid,
    reason: Option<&'static str>,
}

impl FailedLogin {
    /// A login; `account` is the nil id where the name has none.
    pub fn login(account: Uuid, reason: &'static str) -> Self {
        Self { actor: Actor::System, action: Action::SessionRefused, account, reason: Some(reason) }
    }

    /// A wrong password of a caller who is signed in.
    pub fn password(actor: Actor, account: Uuid) -> Self {
        Self { actor, action: Action::AccountPasswordRefused, account, reason: None }
    }

    fn entry(self, repetitions: Option<&Repetitions>) -> AuditEntry {
        let mut details = Map::new();
        let mut add = |name: &str, value: Value| details.insert(name.to_owned(), value);
        if let Some(reason) = self.reason {
            add("reason", reason.into());
        }
        if let Some(repetitions) = repetitions {
            add("times", repetitions.times.into());
            add("since", json!(repetitions.since));
        }
        AuditEntry::new(self.action, self.account, details.into())
    }
}

/// Failures that are counted together; without a network beyond [`MAX_KEYS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct WindowKey {
    failure: FailedLogin,
    network: Option<ClientNetwork>,
}

/// The time in which repetitions are only counted.
#[derive(Debug)]
struct Window {
    started: Instant,
    /// The first failure, until it is written.
    first: Option<ActorContext>,
    repetitions: Option<Repetitions>,
}

/// The failures after the first.
#[derive(Clone, Debug)]
struct Repetitions {
    /// The last one.
    context: ActorContext,
    since: DateTime<Utc>,
    times: u64,
}

impl Window {
    fn count(&mut self, repetitions: Repetitions) {
        let (since, times) =
            self.repetitions.as_ref().map_or((repetitions.since, 0), |before| (before.since, before.times));
        self.repetitions =
            Some(Repetitions { since: since.min(repetitions.since), times: times + repetitions.times, ..repetitions });
    }
}

/// An entry of the log that is not written yet.
#[derive(Debug)]
struct PendingEntry {
    key: WindowKey,
    started: Instant,
    context: ActorContext,
    /// `None` for the first failure.
    repetitions: Option<Repetitions>,
}

/// Failed logins that are not written yet.
#[derive(Debug, Default)]
pub struct FailedLogins {
    windows: Mutex<HashMap<WindowKey, Window>>,
}

impl FailedLogins {
    /// Buffers a failed login.
    pub fn record(&self, failure: FailedLogin, client: &ClientInfo) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut context = client.actor_context(failure.actor);
        let mut key = WindowKey { failure, network: context.address.map(ClientNetwork::of) };
        if windows.len() >= MAX_KEYS && !windows.contains_key(&key) {
            key.network = None;
            if windows.len() >= 2 * MAX_KEYS && !windows.contains_key(&key) {
                key.failure = FailedLogin { actor: Actor::System, account: Uuid::nil(), ..failure };
            }
            context = ActorContext { actor: key.failure.actor, ..ActorContext::system() };
        }
        let started = Instant::now();
        match windows.get_mut(&key) {
            Some(window) => window.count(Repetitions { context, since: clock::now(), times: 1 }),
            None => drop(windows.insert(key, Window { started, first: Some(context), repetitions: None })),
        }
    }

    /// Takes up to [`BATCH_SIZE`] entries that are due, oldest first; `all`: also those whose window is not over.
    fn take(&self, now: Instant, all: bool) -> Vec<PendingEntry> {
        let mut entries = Vec::new();
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, window| {
            if entries.len() >= BATCH_SIZE {
                return true;
            }
            let entry =
                |context, repetitions| PendingEntry { key: *key, started: window.started, context, repetitions };
            entries.extend(window.first.take().map(|context| entry(context, None)));
            let over = all || now.saturating_duration_since(window.started) >= AGGREGATION_WINDOW;
            if over {
                entries.extend(
                    window.repetitions.take().map(|repetitions| entry(repetitions.context.clone(), Some(repetitions))),
                );
            }
            !over
        });
        entries.sort_by_key(|entry| entry.started);
        entries
    }

    /// Takes back entries that could not be written. When a connection ends during a commit, its outcome is unknown: an
    /// entry may then be written twice, rather than not at all.
    fn put_back(&self, entries: Vec<PendingEntry>) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        for PendingEntry { key, started, context, repetitions } in entries {
            let window = windows.entry(key).or_insert(Window { started, first: None, repetitions: None });
            match repetitions {
                Some(repetitions) => window.count(repetitions),
                None if window.first.is_none() => window.first = Some(context),
                None => window.count(Repetitions { context, since: clock::now(), times: 1 }),
            }
        }
    }
}

/// Writes failed logins until the API has stopped, and then the rest, unless the hard stop comes first.
pub async fn flush_loop(failed_logins: &FailedLogins, platform: &Platform, shutdown: &Shutdown) {
    loop {
        let is_last = shutdown.wait_or_stop(FLUSH_INTERVAL).await;
        loop {
            let entries = failed_logins.take(Instant::now(), is_last);
            if entries.is_empty() {
                break;
            }
            let written = flush(platform, &entries).await;
            if let Err(error) = &written {
                let error: &dyn Error = error;
                tracing::warn!(
                    error,
                    entries = entries.len(),
                    "failed logins could not be written; the next batch has them"
                );
                failed_logins.put_back(entries);
            }
            if !is_last || written.is_err() && shutdown.is_hard() {
                break;
            }
            if written.is_err() {
                // The database may be back in a moment; no other process has these.
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        }
        if is_last {
            return;
        }
    }
}

/// Writes all of them in one change, with one lock of the log.
async fn flush(platform: &Platform, pending: &[PendingEntry]) -> store::Result<()> {
    let changes = ChangeScope::new(&platform.db, &platform.audit_keys, ACCOUNT_CHAIN, ActorContext::system());
    changes
        .run_send(|| {
            async |change| {
                for entry in pending {
                    change.audit_as(entry.context.clone(), entry.key.failure.entry(entry.repetitions.as_ref()));
                }
                Ok(())
            }
        })
        .await
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn from(address: &str) -> ClientInfo {
        ClientInfo { request_id: None, address: Some(address.parse().unwrap()) }
    }

    fn times(entries: &[PendingEntry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.repetitions.as_ref().map_or(1, |repetitions| repetitions.times)).collect()
    }

    #[test]
    fn first_failure_is_written_at_once_and_repetitions_are_counted() {
        let failed_logins = FailedLogins::default();
        let (unknown, client) = (FailedLogin::login(Uuid::nil(), "password"), from("203.0.113.9"));
        let started = Instant::now();
        for _ in 0..50 {
            failed_logins.record(unknown, &client);
        }
        let first = failed_logins.take(started, false);
        assert_eq!(times(&first), [1]);
        assert_eq!(first[0].context.address, client.address);
        failed_logins.record(unknown, &client);
        assert!(failed_logins.take(started + AGGREGATION_WINDOW / 2, false).is_empty());
        let counted = failed_logins.take(Instant::now() + AGGREGATION_WINDOW, false);
        assert_eq!(times(&counted), [50]);
        assert_eq!(counted[0].context.address, client.address);
        // The window is over: the next failure is the first of another.
        assert!(failed_logins.take(Instant::now() + 2 * AGGREGATION_WINDOW, true).is_empty());
        failed_logins.record(unknown, &client);
        assert_eq!(times(&failed_logins.take(Instant::now(), false)), [1]);
    }

    #[test]
    fn failures_are_counted_by_account_reason_and_network() {
        let failed_logins = FailedLogins::default();
        let ada = Uuid::from_u128(1);
        for (failure, address) in [
            (FailedLogin::login(Uuid::nil(), "password"), "203.0.113.9"),
            (FailedLogin::login(Uuid::nil(), "password"), "203.0.113.10"),
            (FailedLogin::login(ada, "password"), "203.0.113.9"),
            (FailedLogin::login(ada, "suspended"), "203.0.113.9"),
            (FailedLogin::password(Actor::Account(ada.into()), ada), "203.0.113.9"),
            (FailedLogin::login(ada, "password"), "2001:db8:1:2::1"),
            // The same network as the one before.
            (FailedLogin::login(ada, "password"), "2001:db8:1:2::2"),
        ] {
            failed_logins.record(failure, &from(address));
        }
        assert_eq!(times(&failed_logins.take(Instant::now(), false)), [1; 6]);
        assert_eq!(times(&failed_logins.take(Instant::now(), true)), [1]);
    }

    #[test]
    fn memory_is_bounded_and_every_failure_is_counted() {
        let failed_logins = FailedLogins::default();
        let count = |few: usize| u32::try_from(few).unwrap();
        for n in 0..count(MAX_KEYS) + 500 {
            let client = ClientInfo { request_id: None, address: Some(IpAddr::from(n.to_be_bytes())) };
            failed_logins.record(FailedLogin::login(Uuid::nil(), "password"), &client);
        }
        for n in 0..count(MAX_KEYS) + 500 {
            failed_logins.record(FailedLogin::login(Uuid::from_u128(n.into()), "password"), &from("203.0.113.9"));
        }
        assert!(failed_logins.windows.lock().unwrap().len() <= 2 * MAX_KEYS + 1);
        let mut entries = Vec::new();
        loop {
            let some = failed_logins.take(Instant::now(), true);
            if some.is_empty() {
                break;
            }
            // A window may add two entries.
            assert!(some.len() <= BATCH_SIZE + 1);
            entries.extend(some);
        }
        assert_eq!(times(&entries).iter().sum::<u64>(), 2 * (u64::from(count(MAX_KEYS)) + 500));
        assert!(entries.iter().all(|entry| entry.key.network == entry.context.address.map(ClientNetwork::of)));
        assert!(failed_logins.windows.lock().unwrap().is_empty());
    }

    #[test]
    fn failed_batch_is_written_later() {
        let failed_logins = FailedLogins::default();
        let (unknown, client) = (FailedLogin::login(Uuid::nil(), "password"), from("203.0.113.9"));
        for _ in 0..3 {
            failed_logins.record(unknown, &client);
        }
        let entries = failed_logins.take(Instant::now(), true);
        assert_eq!(times(&entries), [1, 2]);
        failed_logins.record(unknown, &client);
        failed_logins.put_back(entries);
        let again = failed_logins.take(Instant::now(), true);
        assert_eq!(times(&again).iter().sum::<u64>(), 4);
    }
}
