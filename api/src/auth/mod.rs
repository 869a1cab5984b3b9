//! Who asks, and what they may do.
//!
//! Authorisation is in a handler's argument types, and those stand first: [`account::CurrentAccount`] for the caller's
//! own things, [`member::Member`] for everything below a workspace.

pub mod account;
pub mod audit;
pub mod bearer;
pub mod device;
pub mod failed_logins;
pub mod jwt;
mod jwt_cache;
pub mod last_used;
pub mod member;
pub mod password;
pub mod recent_credentials;
pub mod second_factor;
