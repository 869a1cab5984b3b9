//! The HTTP API of Nvisy.
//!
//! [`app::App`] is built, bound and run, the same way by `main` and by the tests. Imports point down this list only:
//!
//! | floor | modules |
//! |---|---|
//! | server | `server` (routes, OpenAPI document, middleware, health), [`app`], [`cli`] |
//! | slices | `identity` `workspaces` `content`: each slice a folder with its routes (`mod.rs`), thin handlers, wire types, and a service |
//! | state | `state`: the components that handlers use |
//! | base | `auth`, then `definition` `mailer` `passage_scores` `query_samples` `query_vectors` `quota` `recall_sampler` `search_counter` `upload` `shutdown`, then `http`, then `problem` |
#![allow(unreachable_pub, reason = "the modules are private: that is the boundary")]

pub mod app;
pub mod cli;

mod auth;
mod content;
mod definition;
mod http;
mod identity;
mod mailer;
mod passage_scores;
mod problem;
mod query_samples;
mod query_vectors;
mod quota;
mod recall_sampler;
mod search_counter;
mod server;
mod shutdown;
mod state;
mod upload;
mod workspaces;
