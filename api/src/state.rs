//! What every handler can reach: made once, shared by all threads.

use nvisy_shared::{domain::pipeline::Definition, lifecycle::Lifecycle, platform::Platform, queue::feed::EventFeed};

use crate::{
    auth::{
        failed_logins::Refusals, jwt::Keys, last_used::LastUsed, password::Passwords, recent_credentials::Familiar,
    },
    content::events::stream_limit::Open,
    http::rate_limit::Limits,
    search_counter::Tally,
    server::{health::Readiness, openapi::Document},
    shutdown::Closing,
};

/// Handlers take it as `Data<State>`.
pub struct State {
    /// Database, queue, bytes and model.
    pub platform: Platform,
    /// What a new workspace does with its uploads.
    pub index: Definition,
    /// Events as they happen.
    pub feed: EventFeed,
    pub keys: Keys,
    pub passwords: Passwords,
    /// Credentials that were good lately.
    pub familiar: Familiar,
    /// Searches that are still to be counted.
    pub tally: Tally,
    pub last_used: LastUsed,
    /// Refused logins that are still to be written down.
    pub refusals: Refusals,
    /// Event streams that are open.
    pub streams: Open,
    pub document: Document,
    pub limits: Limits,
    pub readiness: Readiness,
    pub closing: Closing,
    /// Tells readiness and long answers that the process is stopping.
    pub lifecycle: Lifecycle,
}
