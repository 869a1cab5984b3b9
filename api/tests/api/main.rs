//! Everything the API promises, asked over HTTP of a real one on a real PostgreSQL.

mod access;
mod accounts;
mod app;
mod health;
mod idempotency;
mod openapi;
mod pages;
mod problems;
mod tokens;
mod workspaces;
