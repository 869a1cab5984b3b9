//! What the API and the worker have in common.
//!
//! The list of modules is closed; a new one states its reason here.
//!
//! | layer | modules | may use |
//! |---|---|---|
//! | ground | [`id`] [`clock`] [`lifecycle`] [`secret`] | nothing of ours |
//! | edge | [`config`] [`telemetry`] [`outbound`] (the one HTTP client: model endpoints, later webhooks and connections) [`probe`] (asking how things are: the `health` command of both programs, and what `doctor` finds) | ground |
//! | meaning | [`domain`] (no I/O), [`entity`] (tables), [`store`] (functions over a transaction, tenant first) | `domain <- entity <- store`; `store` uses [`crypt`] for the MACs of the activity log |
//! | work | [`job`] (payload types), [`queue`] (outbox, relay, consumers) | `domain <- job <- queue`; `queue` asks `store` for what is to be handed over; `store` knows nothing of `queue` |
//! | bytes | [`crypt`] [`blob`] | ground, domain |
//! | whole | [`platform`] (opens all of it from the configuration, or looks at each part for `doctor`; the API and the worker would each repeat it) | everything |
//! | tests | `testing` (feature), `test_nats` (what it has in common with the tests of `blob`) | everything |
#![warn(missing_docs)]

pub mod blob;
pub mod clock;
pub mod config;
pub mod crypt;
pub mod domain;
pub mod entity;
pub mod id;
pub mod job;
pub mod lifecycle;
pub mod outbound;
pub mod platform;
pub mod probe;
pub mod queue;
pub mod secret;
pub mod store;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
mod test_nats;
#[cfg(feature = "testing")]
pub mod testing;

/// An error and its causes in one line, outermost first.
#[must_use]
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
