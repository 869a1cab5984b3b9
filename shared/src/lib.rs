//! The modules that the API and the worker share.
//!
//! The list of modules is closed; a new one states its reason here.
//!
//! | layer | modules | may use |
//! |---|---|---|
//! | base | [`id`] [`clock`] [`lifecycle`] [`secret`] | no other module |
//! | adapters | [`config`] [`telemetry`] [`outbound`] (HTTP clients: model endpoints, later webhooks and connections) [`probe`] (health of a process, findings of `doctor`) | base |
//! | domain | [`domain`] (no I/O) | base |
//! | pipelines | [`pipeline`] (definitions that users author, their compiler, node types; no I/O. Beside [`domain`], because it is as large and its files depend on each other) | base, domain |
//! | store | [`entity`] (tables), [`store`] (functions over a transaction, tenant first) | `domain, pipeline <- entity <- store`; `store` uses [`crypt`] for the MACs of the activity log |
//! | jobs | [`job`] (payload types), [`queue`] (outbox, relay, consumers) | `domain <- job <- queue`; `queue` reads the rows to publish from `store`; `store` does not use `queue` |
//! | runs | [`runs`] (starting and ending runs of pipelines: rows, jobs and events together; the API and workers do both) | `store`, `queue`, `job`, `pipeline` |
//! | bytes | [`crypt`] [`blob`] | base, domain |
//! | platform | [`platform`] (opens everything from the configuration, or checks each part for `doctor`; otherwise the API and the worker would repeat it) | all |
//! | tests | `testing` (feature), `test_nats` (shared by it and the tests of `blob`) | all |
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
pub mod pipeline;
pub mod platform;
pub mod probe;
pub mod queue;
pub mod runs;
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
