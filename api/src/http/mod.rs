//! HTTP, apart from what the slices mean by it.

pub(crate) mod answer;
pub(crate) mod claim;
pub(crate) mod etag;
pub(crate) mod extract;
pub(crate) mod idempotency;
pub(crate) mod lately;
pub(crate) mod limit;
pub(crate) mod network;
pub(crate) mod openapi;
pub(crate) mod origin;
pub(crate) mod page;
pub(crate) mod patience;
mod pieces;
pub(crate) mod request_id;
pub(crate) mod rules;
pub(crate) mod scalar;
pub(crate) mod server;
pub(crate) mod shield;
pub(crate) mod single;
pub(crate) mod tls;

mod body;
mod cors;
mod doorstep;
mod home;
mod routes;
mod trace;
