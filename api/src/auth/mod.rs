//! Who asks, and what they may do.
//!
//! Authorisation is in a handler's argument types, and those stand first: [`account::CurrentAccount`] for the caller's
//! own things, [`member::Member`] for everything below a workspace.

pub(crate) mod account;
pub(crate) mod bearer;
pub(crate) mod device;
pub(crate) mod familiar;
pub(crate) mod gate;
pub(crate) mod last_used;
pub(crate) mod member;
pub(crate) mod password;
pub(crate) mod refusals;
pub(crate) mod second_factor;
pub(crate) mod token;
pub(crate) mod trail;
mod verified;
