//! Names whose addresses this machine does not find in time, as behind a firewall that drops questions to DNS servers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a name is not looked up again.
const LIFETIME: Duration = Duration::from_secs(60);
/// Maximum number of names.
const MAX_NAMES: usize = 10_000;

/// Names that are not looked up for a while: a lookup of the system cannot be ended, and occupies a thread until it gives up.
#[derive(Clone, Debug, Default)]
pub(super) struct SlowNames(Arc<Mutex<HashMap<String, Instant>>>);

impl SlowNames {
    pub(super) fn contains(&self, name: &str) -> bool {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(name).is_some_and(|since| since.elapsed() < LIFETIME)
    }

    pub(super) fn add(&self, name: &str) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= MAX_NAMES {
            names.retain(|_, since| since.elapsed() < LIFETIME);
        }
        if names.len() < MAX_NAMES || names.contains_key(name) {
            names.insert(name.to_owned(), Instant::now());
        }
    }
}
