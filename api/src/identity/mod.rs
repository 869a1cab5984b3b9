//! Accounts, and the ways to prove who a caller is: `/account` and `/auth`.

pub mod accounts;
pub mod mail_links;
pub mod sessions;
pub mod tokens;
pub mod totp;
mod wire;
