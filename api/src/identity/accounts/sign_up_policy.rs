//! The sign-up policy of `NVISY_AUTH_SIGN_UP`.
//!
//! Where signing up needs a code, a missing code, a wrong code, another address's code and an address that has an account get
//! the same response: without the code of an address, a caller learns nothing about it.

use nvisy_shared::{
    config::SignUpPolicy,
    crypt::invite_code,
    secret::Secret,
    store::{self, Tx},
};

use crate::{
    problem::{Code, Problem},
    state::State,
};

/// The permission to sign up that a request claims.
#[derive(Clone, Copy, Debug)]
pub enum SignUpPermit {
    /// The policy needs no code.
    Open,
    /// The hash of the request's code; `by_invite`: a workspace's invite counts.
    Code { hash: [u8; 32], by_invite: bool },
}

impl SignUpPermit {
    /// 403 where the policy needs a code and the request has none that is well-formed: before anything slow happens.
    pub fn from_code(state: &State, code: Option<&Secret<String>>) -> Result<Self, Problem> {
        let by_invite = match state.platform.config.sign_up() {
            SignUpPolicy::Open => return Ok(Self::Open),
            SignUpPolicy::Invited => true,
            SignUpPolicy::Closed => false,
        };
        let hash = code.and_then(invite_code::hash).ok_or_else(rejected)?;
        Ok(Self::Code { hash, by_invite })
    }

    /// 403 unless the code was issued for this (normalized) address.
    pub async fn check(self, tx: &Tx, email: &str) -> Result<(), Problem> {
        let Self::Code { hash, by_invite } = self else { return Ok(()) };
        let is_issued = store::sign_up_permit::is_valid(tx, &hash, email).await?
            || by_invite && store::invite::is_addressed_to(tx, &hash, email).await?;
        if is_issued { Ok(()) } else { Err(rejected()) }
    }

    /// Distinguishes repeated requests; the code is random, so its hash reveals nothing.
    pub fn fingerprint(self) -> Option<[u8; 32]> {
        match self {
            Self::Open => None,
            Self::Code { hash, .. } => Some(hash),
        }
    }

    /// The problem where the address has an account.
    pub fn address_taken(self) -> Problem {
        match self {
            Self::Open => Problem::new(Code::EmailTaken),
            Self::Code { .. } => rejected(),
        }
    }
}

fn rejected() -> Problem {
    Problem::new(Code::SignUpRefused)
}
