//! HTTP, apart from what the slices mean by it.

pub mod answer;
pub mod claim;
pub mod etag;
pub mod extract;
pub mod idempotency;
pub mod lately;
pub mod limit;
pub mod network;
pub mod openapi;
pub mod origin;
pub mod page;
pub mod patience;
mod pieces;
pub mod request_id;
pub mod rules;
pub mod scalar;
pub mod server;
pub mod shield;
pub mod single;
pub mod tls;

mod body;
mod cors;
mod doorstep;
mod home;
mod routes;
mod trace;
