//! HTTP building blocks, without knowledge of the slices.

pub mod api_component;
pub mod cached_probe;
pub mod chunked_body;
pub mod client_connection;
pub mod client_info;
pub mod client_network;
pub mod component;
pub mod cors;
pub mod etag;
pub mod extract;
pub mod gate;
pub mod idempotency;
mod json_body;
pub mod pagination;
pub mod query;
pub mod rate_limit;
pub mod request_id;
pub mod signed_body;
pub mod single_header;
pub mod stall_guard;
pub mod status_json;
pub mod stream_limit;
pub mod string_schema;
pub mod tls;
pub mod trace;
pub mod validation;
pub mod write_behind;
