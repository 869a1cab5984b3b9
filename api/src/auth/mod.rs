//! Who asks, and what they may do.
//!
//! Authorisation is in a handler's argument types, and those stand first: [`account::CurrentAccount`] for the caller's
//! own things, [`member::Member`] for everything below a workspace.

pub mod account;
pub mod bearer;
pub mod device;
pub mod familiar;
pub mod gate;
pub mod last_used;
pub mod member;
pub mod password;
pub mod refusals;
pub mod second_factor;
pub mod token;
pub mod trail;
mod verified;
