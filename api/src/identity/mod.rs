//! Accounts and their credentials: `/account` and `/auth`.

pub mod accounts;
pub mod mail_links;
pub mod sessions;
pub mod tokens;
pub mod totp;
mod wire;
