//! The wait of a response for the result of a job about a connection.

use std::time::Duration;

use nvisy_shared::id::AccountId;
use tokio::time::{Instant, sleep};

use crate::{http::stream_limit::StreamPermit, problem::Problem, state::State};

/// How often the result is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Counts as a stream of the account for as long as it lasts.
pub struct ResponseWait<'a> {
    state: &'a State,
    _permit: Option<StreamPermit>,
    deadline: Instant,
}

impl<'a> ResponseWait<'a> {
    /// 429 where the account has too many streams already.
    pub fn begin(state: &'a State, account: AccountId, seconds: u16) -> Result<Self, Problem> {
        let permit = match seconds {
            0 => None,
            _ => Some(state.streams.acquire(account, state.platform.config.limit.account_streams)?),
        };
        // The response must not come later than the server's limit.
        let longest = Duration::from_secs(state.platform.config.http.request_seconds / 2);
        let deadline = Instant::now() + longest.min(Duration::from_secs(seconds.into()));
        Ok(Self { state, _permit: permit, deadline })
    }

    /// Whether the response comes now, also without a result.
    pub fn is_over(&self) -> bool {
        self.deadline <= Instant::now() || self.state.lifecycle.soft().is_cancelled()
    }

    /// Returns when the result is to be looked for again. The caller holds no connection of the pool meanwhile.
    pub async fn pause(&self) {
        tokio::select! {
            () = sleep(POLL_INTERVAL) => {}
            () = self.state.lifecycle.soft().cancelled() => {}
        }
    }
}
