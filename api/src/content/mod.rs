//! The contents of workspaces: files, search, and events.

pub mod events;
pub mod files;
pub mod search;
