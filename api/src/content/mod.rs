//! What workspaces hold: files, search over them, and the events of both.

pub mod events;
pub mod files;
pub mod search;
