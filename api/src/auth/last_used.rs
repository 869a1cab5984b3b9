//! The times at which API tokens were last used, written in batches: reading costs no write.

use std::time::Duration;

use chrono::{DateTime, Utc};
use nvisy_shared::{
    clock,
    id::TokenId,
    store::{self, Db},
};

use crate::{http::write_behind::WriteBehind, shutdown::Shutdown};

/// How old the written times may be; a killed process loses those of this time.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// Times that are not written yet.
#[derive(Debug)]
pub struct LastUsed(WriteBehind<TokenId, DateTime<Utc>>);

impl LastUsed {
    pub fn new() -> Self {
        Self(WriteBehind::new(|time, other| *time = (*time).max(other)))
    }

    /// Records that a token is used now.
    pub fn record(&self, token: TokenId) {
        self.0.add(token, clock::now());
    }

    /// Writes the times until the API has stopped.
    pub async fn flush_loop(&self, db: &Db, shutdown: &Shutdown) {
        let write = |uses: Vec<_>| async move { store::api_token::mark_used(db, &uses).await };
        self.0.flush_loop(shutdown, FLUSH_INTERVAL, "times of last use of API tokens", write).await;
    }
}
