//! Authentication and authorization.
//!
//! A handler's first argument authorizes: [`account::CurrentAccount`] or [`account::SignedIn`] for the caller's own
//! account, [`member::Member`] for everything below a workspace.

pub mod account;
pub mod authenticator;
pub mod bearer;
pub mod change;
pub mod device;
pub mod failed_logins;
pub mod jwt;
mod jwt_cache;
mod last_used;
pub mod member;
pub mod password;
mod recent_credentials;
pub mod second_factor;
