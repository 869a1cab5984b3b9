//! The contents of workspaces: files, collections, pipelines, runs, search, and events.

pub mod collections;
pub mod connections;
pub mod events;
pub mod files;
pub mod pipelines;
pub mod runs;
pub mod search;
