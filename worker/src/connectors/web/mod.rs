//! Websites, spoken to upon the client that checks addresses.

mod http;
pub(super) mod site;
