//! Websites, and services with JSON over HTTP.
//!
//! The protocols are spoken by own code upon the client that checks addresses, because a library would bring a client of its
//! own: `site` reads pages and their links, `rest` lists of items.

mod http;
pub(super) mod rest;
pub(super) mod site;
