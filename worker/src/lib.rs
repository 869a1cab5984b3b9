//! The worker: pulls jobs, runs segments of pipelines, and writes the search index.
//!
//! The path of a job: [`runner`] (claim, run, complete) -> [`handlers`] (one per payload) -> [`pipeline::engine`] (a segment of the
//! plan) -> `pipeline::node` (one per kind of step) -> effects, committed in the transaction that completes the job.

pub mod access_tokens;
pub mod app;
pub mod chunk;
pub mod connectors;
pub mod context;
pub mod embedding_speeds;
pub mod handlers;
pub mod health;
pub mod mail;
pub mod maintenance;
mod media_type;
mod parked_listings;
pub mod pipeline;
pub mod providers;
pub mod redact;
pub mod runner;
pub mod search_permits;
mod sync;
