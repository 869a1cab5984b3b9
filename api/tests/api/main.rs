//! Everything the API promises, asked over HTTP of a real one on a real PostgreSQL.
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod access;
mod accounts;
mod app;
mod behind;
mod events;
mod files;
mod health;
mod idempotency;
mod journey;
mod kills;
mod openapi;
mod pages;
mod problems;
mod tokens;
mod workspaces;
