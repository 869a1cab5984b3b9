//! The contents of workspaces: files, pipelines, search, and events.

pub mod events;
pub mod files;
pub mod pipelines;
pub mod search;
