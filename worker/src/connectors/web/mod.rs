//! Websites, services with JSON over HTTP, and Git repositories.
//!
//! The three protocols are spoken by own code upon the client that checks addresses, because a library would bring a client of its
//! own: `site` reads pages and their links, `rest` lists of items, `git` packs of protocol 2.

pub(super) mod git;
mod http;
pub(super) mod rest;
pub(super) mod site;
