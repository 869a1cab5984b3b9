//! Domain types without I/O: states, roles, filters, failures.

pub mod account;
pub mod activity;
pub mod chunk;
pub mod connection;
pub mod evaluation;
pub mod event;
pub mod failure;
pub mod file;
pub mod filter;
pub mod history;
pub mod job;
pub mod mail;
pub mod metadata;
pub mod quota;
pub mod role;
pub mod run;
pub mod slug;
pub mod space;
pub mod synonym;
