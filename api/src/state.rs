//! The components that handlers share: opened once, used by all threads.

use actix_web::web::Data;
use nvisy_shared::{lifecycle::Lifecycle, pipeline::Definition, platform::Platform, queue::feed::EventFeed};

use crate::{
    auth::authenticator::Authenticator,
    http::{rate_limit::RateLimiter, stream_limit::StreamLimit},
    mailer::Mailer,
    passage_scores::PassageScores,
    query_samples::QuerySamples,
    query_vectors::QueryVectors,
    recall_sampler::RecallSampler,
    search_counter::SearchCounter,
};

/// Handlers take it as `Data<State>`; extractors and middleware take the component that they need.
pub struct State {
    /// Database, queue, bytes, keys and model.
    pub platform: Platform,
    pub authenticator: Data<Authenticator>,
    pub limiter: Data<RateLimiter>,
    pub mailer: Mailer,
    /// Live events.
    pub feed: EventFeed,
    /// Open event streams by account.
    pub streams: StreamLimit,
    pub searches: SearchCounter,
    pub query_vectors: QueryVectors,
    pub passage_scores: PassageScores,
    pub query_samples: QuerySamples,
    pub recall: RecallSampler,
    /// The pipeline of new workspaces.
    pub default_pipeline: Definition,
    /// Tells long responses that the process is stopping.
    pub lifecycle: Lifecycle,
}
