//! Lists of items of services with JSON over HTTP.
//!
//! A page of the list is one call, and its items come with their content; a stream with `detail` fetches each item by itself.

mod item;
mod listing;
mod paging;
mod service;

pub(in crate::connectors) use self::service::open;
