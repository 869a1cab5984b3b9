//! The worker: pulls jobs, runs segments of pipelines, and writes the search index.
//!
//! The path of a job: [`runner`] (claim, run, complete) -> [`handlers`] (one per payload) -> [`engine`] (a segment of the plan)
//! -> [`nodes`] (one per kind of step) -> effects, committed in the transaction that completes the job.

pub mod app;
pub mod chunk;
pub mod context;
pub mod engine;
pub mod handlers;
pub mod health;
pub mod mail;
pub mod maintenance;
pub mod nodes;
pub mod runner;
