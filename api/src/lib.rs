//! The HTTP API of Nvisy.
//!
//! [`app::App`] is built, bound and run, the same way by `main` and by the tests. `http::routes` mounts the slices; a
//! slice is a folder with its routes (`mod.rs`), thin handlers, wire types, and a service where there are several steps.
#![allow(unreachable_pub, reason = "the modules are private: that is the boundary")]

pub mod app;
pub mod command;

mod accounts;
mod activities;
mod auth;
mod closing;
mod events;
mod files;
mod health;
mod http;
mod invites;
mod mail;
mod members;
mod problem;
mod search;
mod sessions;
mod state;
mod tokens;
mod totp;
mod usage;
mod workspaces;
