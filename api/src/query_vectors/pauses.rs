//! Pauses of models that have not answered in time: meanwhile, no search waits for them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nvisy_shared::id::SpaceId;

/// How long a model is not asked.
const PAUSE: Duration = Duration::from_secs(10);

/// The ends of pauses, by the space of the model.
#[derive(Default)]
pub struct Pauses(Mutex<HashMap<SpaceId, Instant>>);

impl Pauses {
    /// Whether the model of a space may be asked now. At the end of a pause, one request may: the next ones wait for another
    /// pause, unless the model answers.
    pub fn admits(&self, space: SpaceId) -> bool {
        self.admits_at(space, Instant::now())
    }

    /// The model has not answered in time.
    pub fn begin(&self, space: SpaceId) {
        self.lock().insert(space, Instant::now() + PAUSE);
    }

    /// The model has answered.
    pub fn end(&self, space: SpaceId) {
        self.lock().remove(&space);
    }

    fn admits_at(&self, space: SpaceId, now: Instant) -> bool {
        match self.lock().get_mut(&space) {
            None => true,
            Some(end) if now < *end => false,
            Some(end) => {
                *end = now + PAUSE;
                true
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SpaceId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_asks_again_at_the_end_of_a_pause() {
        let (pauses, space, other) = (Pauses::default(), SpaceId::new(), SpaceId::new());
        assert!(pauses.admits(space), "a model that has not failed");
        pauses.begin(space);
        let end = Instant::now() + PAUSE;
        assert!(!pauses.admits(space) && pauses.admits(other));
        assert!(pauses.admits_at(space, end) && !pauses.admits_at(space, end));
        assert!(pauses.admits_at(space, end + PAUSE));
        pauses.end(space);
        assert!(pauses.admits(space));
    }
}
