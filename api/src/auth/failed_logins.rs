//! Refused logins and the like, on their way into the activity log.
//!
//! The log only grows, and strangers are refused as often as they like. So a request that is refused writes nothing, which
//! takes equally long for every name: it is kept here, and a task writes. The first refusal of its kind is written within
//! a second; more of the same from the same network are counted, and become one entry when a minute is over.

use std::{
    collections::HashMap,
    error::Error,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix_web::web::Data;
use chrono::{DateTime, Utc};
use nvisy_shared::{
    clock,
    domain::activity::{Action, Actor},
    platform::Platform,
    store::{
        self, TransactionTrait,
        activity::{self, ActorContext, AuditEntry},
    },
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    http::{client_info::Origin, client_network::Network},
    state::State,
};

/// How often it is written; a killed process takes with it what came since, and what it has counted.
const EVERY: Duration = Duration::from_secs(1);
/// Between two tries to write the last of it.
const AGAIN: Duration = Duration::from_millis(100);
/// How long the same is only counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Kinds of refusals from different networks that are told apart at a time. Those of more are put together: of an account
/// whatever the network, as many again; then all.
const KEYS: usize = 10_000;
/// Entries written in one transaction: the log of accounts is locked for as long.
const BATCH: usize = 1_000;

/// What was refused to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    actor: Actor,
    action: Action,
    account: Uuid,
    reason: Option<&'static str>,
}

impl Refusal {
    /// A login; of the nil id where there is no account.
    pub fn login(account: Uuid, reason: &'static str) -> Self {
        Self { actor: Actor::System, action: Action::SessionRefused, account, reason: Some(reason) }
    }

    /// The password of somebody who is signed in.
    pub fn password(actor: Actor, account: Uuid) -> Self {
        Self { actor, action: Action::AccountPasswordRefused, account, reason: None }
    }

    fn audit_entry(self, later: Option<&Later>) -> AuditEntry {
        let mut details = Map::new();
        let mut add = |name: &str, value: Value| details.insert(name.to_owned(), value);
        if let Some(reason) = self.reason {
            add("reason", reason.into());
        }
        if let Some(later) = later {
            add("times", later.times.into());
            add("since", json!(later.since));
        }
        AuditEntry::new(self.action, self.account, details.into())
    }
}

/// What is counted together; without a network where there is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    refusal: Refusal,
    network: Option<Network>,
}

/// A minute in which the same is only counted.
#[derive(Debug)]
struct Window {
    began: Instant,
    /// The first one, until it is written.
    first: Option<ActorContext>,
    later: Option<Later>,
}

/// Those after the first.
#[derive(Clone, Debug)]
struct Later {
    /// The last of them.
    by: ActorContext,
    since: DateTime<Utc>,
    times: u64,
}

impl Window {
    fn count(&mut self, later: Later) {
        let (since, times) = self.later.as_ref().map_or((later.since, 0), |before| (before.since, before.times));
        self.later = Some(Later { since: since.min(later.since), times: times + later.times, ..later });
    }
}

/// An entry to be.
#[derive(Debug)]
struct Entry {
    key: Key,
    began: Instant,
    by: ActorContext,
    /// `None`: it is the first one.
    later: Option<Later>,
}

/// Refusals that are not written yet.
#[derive(Debug, Default)]
pub struct Refusals {
    windows: Mutex<HashMap<Key, Window>>,
}

impl Refusals {
    /// Keeps one to be written.
    pub fn note(&self, refusal: Refusal, origin: &Origin) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by = origin.by(refusal.actor);
        let mut key = Key { refusal, network: by.address.map(Network::of) };
        if windows.len() >= KEYS && !windows.contains_key(&key) {
            key.network = None;
            if windows.len() >= 2 * KEYS && !windows.contains_key(&key) {
                key.refusal = Refusal { actor: Actor::System, account: Uuid::nil(), ..refusal };
            }
            by = ActorContext { actor: key.refusal.actor, ..ActorContext::system() };
        }
        let began = Instant::now();
        match windows.get_mut(&key) {
            Some(window) => window.count(Later { by, since: clock::now(), times: 1 }),
            None => drop(windows.insert(key, Window { began, first: Some(by), later: None })),
        }
    }

    /// What is to be written now, oldest first, up to so many; or all there is, whether or not its minute is over.
    fn take(&self, now: Instant, all: bool) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, window| {
            if entries.len() >= BATCH {
                return true;
            }
            let entry = |by, later| Entry { key: *key, began: window.began, by, later };
            entries.extend(window.first.take().map(|by| entry(by, None)));
            let over = all || now.saturating_duration_since(window.began) >= WINDOW;
            if over {
                entries.extend(window.later.take().map(|later| entry(later.by.clone(), Some(later))));
            }
            !over
        });
        entries.sort_by_key(|entry| entry.began);
        entries
    }

    /// Keeps what could not be written. A connection that ends during the commit does not say whether there was one:
    /// such an entry may be there twice, rather than not at all.
    fn give_back(&self, entries: Vec<Entry>) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        for Entry { key, began, by, later } in entries {
            let window = windows.entry(key).or_insert(Window { began, first: None, later: None });
            match later {
                Some(later) => window.count(later),
                None if window.first.is_none() => window.first = Some(by),
                None => window.count(Later { by, since: clock::now(), times: 1 }),
            }
        }
    }
}

/// Writes down who was refused, until nobody is any more.
pub async fn write_down(state: Data<State>) {
    let hard = state.lifecycle.hard();
    loop {
        let stopping = state.closing.pause(EVERY).await;
        loop {
            let entries = state.refusals.take(Instant::now(), stopping);
            if entries.is_empty() {
                break;
            }
            let written = write(&state.platform, &entries).await;
            if let Err(error) = &written {
                let error: &dyn Error = error;
                tracing::warn!(error, entries = entries.len(), "who was refused is not written down");
                state.refusals.give_back(entries);
            }
            if !stopping || written.is_err() && hard.is_cancelled() {
                break;
            }
            if written.is_err() {
                // The database may be back in a moment; nobody else will write these.
                tokio::time::sleep(AGAIN).await;
            }
        }
        if stopping {
            return;
        }
    }
}

/// All of them in one transaction, with one turn at the log.
async fn write(platform: &Platform, entries: &[Entry]) -> store::Result<()> {
    let tx = platform.db.begin().await?;
    let acts: Vec<AuditEntry> =
        entries.iter().map(|entry| entry.key.refusal.audit_entry(entry.later.as_ref())).collect();
    let acts: Vec<_> = entries.iter().map(|entry| &entry.by).zip(&acts).collect();
    activity::append_with_contexts(&tx, &platform.audit_keys, activity::ACCOUNT_CHAIN, &acts).await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn from(address: &str) -> Origin {
        Origin { request_id: None, address: Some(address.parse().unwrap()) }
    }

    fn times(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.later.as_ref().map_or(1, |later| later.times)).collect()
    }

    #[test]
    fn the_first_is_written_at_once_and_the_others_are_counted() {
        let refusals = Refusals::default();
        let (nobody, origin) = (Refusal::login(Uuid::nil(), "password"), from("203.0.113.9"));
        let began = Instant::now();
        for _ in 0..50 {
            refusals.note(nobody, &origin);
        }
        let first = refusals.take(began, false);
        assert_eq!(times(&first), [1]);
        assert_eq!(first[0].by.address, origin.address);
        refusals.note(nobody, &origin);
        assert!(refusals.take(began + WINDOW / 2, false).is_empty());
        let counted = refusals.take(Instant::now() + WINDOW, false);
        assert_eq!(times(&counted), [50]);
        assert_eq!(counted[0].by.address, origin.address);
        // The minute is over: the next one is the first of another.
        assert!(refusals.take(Instant::now() + 2 * WINDOW, true).is_empty());
        refusals.note(nobody, &origin);
        assert_eq!(times(&refusals.take(Instant::now(), false)), [1]);
    }

    #[test]
    fn what_differs_is_told_apart() {
        let refusals = Refusals::default();
        let ada = Uuid::from_u128(1);
        for (refusal, address) in [
            (Refusal::login(Uuid::nil(), "password"), "203.0.113.9"),
            (Refusal::login(Uuid::nil(), "password"), "203.0.113.10"),
            (Refusal::login(ada, "password"), "203.0.113.9"),
            (Refusal::login(ada, "suspended"), "203.0.113.9"),
            (Refusal::password(Actor::Account(ada.into()), ada), "203.0.113.9"),
            (Refusal::login(ada, "password"), "2001:db8:1:2::1"),
            // Of the same network as the one before.
            (Refusal::login(ada, "password"), "2001:db8:1:2::2"),
        ] {
            refusals.note(refusal, &from(address));
        }
        assert_eq!(times(&refusals.take(Instant::now(), false)), [1; 6]);
        assert_eq!(times(&refusals.take(Instant::now(), true)), [1]);
    }

    #[test]
    fn however_many_come_memory_is_bounded_and_all_are_counted() {
        let refusals = Refusals::default();
        let count = |few: usize| u32::try_from(few).unwrap();
        for n in 0..count(KEYS) + 500 {
            let origin = Origin { request_id: None, address: Some(IpAddr::from(n.to_be_bytes())) };
            refusals.note(Refusal::login(Uuid::nil(), "password"), &origin);
        }
        for n in 0..count(KEYS) + 500 {
            refusals.note(Refusal::login(Uuid::from_u128(n.into()), "password"), &from("203.0.113.9"));
        }
        assert!(refusals.windows.lock().unwrap().len() <= 2 * KEYS + 1);
        let mut entries = Vec::new();
        loop {
            let some = refusals.take(Instant::now(), true);
            if some.is_empty() {
                break;
            }
            // A window may give two.
            assert!(some.len() <= BATCH + 1);
            entries.extend(some);
        }
        assert_eq!(times(&entries).iter().sum::<u64>(), 2 * (u64::from(count(KEYS)) + 500));
        assert!(entries.iter().all(|entry| entry.key.network == entry.by.address.map(Network::of)));
        assert!(refusals.windows.lock().unwrap().is_empty());
    }

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let refusals = Refusals::default();
        let (nobody, origin) = (Refusal::login(Uuid::nil(), "password"), from("203.0.113.9"));
        for _ in 0..3 {
            refusals.note(nobody, &origin);
        }
        let entries = refusals.take(Instant::now(), true);
        assert_eq!(times(&entries), [1, 2]);
        refusals.note(nobody, &origin);
        refusals.give_back(entries);
        let again = refusals.take(Instant::now(), true);
        assert_eq!(times(&again).iter().sum::<u64>(), 4);
    }
}
