//! When API tokens were last used: collected in memory, written in batches, so that reading costs no write.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web::web::Data;
use chrono::{DateTime, Utc};
use nvisy_shared::{clock, id::TokenId, store};

use crate::state::State;

/// How often the times are written; what a killed process loses.
const EVERY: Duration = Duration::from_secs(5);

/// Times that are not written yet.
#[derive(Debug, Default)]
pub struct LastUsed(Mutex<HashMap<TokenId, DateTime<Utc>>>);

impl LastUsed {
    /// Notes that a token is used now.
    pub fn note(&self, token: TokenId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(token, clock::now());
    }

    fn take(&self) -> HashMap<TokenId, DateTime<Utc>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn give_back(&self, uses: Vec<(TokenId, DateTime<Utc>)>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (token, time) in uses {
            kept.entry(token).or_insert(time);
        }
    }
}

/// Writes what was noted, every few seconds and once more at the end.
pub async fn write_down(state: Data<State>) {
    loop {
        let last = state.closing.pause(EVERY).await;
        let uses: Vec<_> = state.last_used.take().into_iter().collect();
        if !uses.is_empty()
            && let Err(error) = store::api_token::mark_used(&state.platform.db, &uses).await
        {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "when tokens were last used is written later");
            state.last_used.give_back(uses);
        }
        if last {
            return;
        }
    }
}
