//! What every handler can reach: made once, shared by all threads.

use nvisy_shared::{domain::pipeline::Definition, lifecycle::Lifecycle, platform::Platform, queue::feed::Feed};

use crate::{
    auth::{familiar::Familiar, last_used::LastUsed, password::Passwords, refusals::Refusals, token::Keys},
    closing::Closing,
    events::open::Open,
    health::Readiness,
    http::{limit::Limits, openapi::Document},
    usage::tally::Tally,
};

/// Handlers take it as `Data<State>`.
pub(crate) struct State {
    /// Database, queue, bytes and model.
    pub(crate) platform: Platform,
    /// What a new workspace does with its uploads.
    pub(crate) index: Definition,
    /// Events as they happen.
    pub(crate) feed: Feed,
    pub(crate) keys: Keys,
    pub(crate) passwords: Passwords,
    /// Credentials that were good lately.
    pub(crate) familiar: Familiar,
    /// Searches that are still to be counted.
    pub(crate) tally: Tally,
    pub(crate) last_used: LastUsed,
    /// Refused logins that are still to be written down.
    pub(crate) refusals: Refusals,
    /// Event streams that are open.
    pub(crate) streams: Open,
    pub(crate) document: Document,
    pub(crate) limits: Limits,
    pub(crate) readiness: Readiness,
    pub(crate) closing: Closing,
    /// Tells readiness and long answers that the process is stopping.
    pub(crate) lifecycle: Lifecycle,
}
