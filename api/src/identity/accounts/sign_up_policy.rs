//! Who may sign up: see `NVISY_AUTH_SIGN_UP`.
//!
//! Where not everybody may, whoever has no code to an address learns nothing of it: no code, a wrong one, one to another
//! address and an address that has an account are answered alike.

use nvisy_shared::{
    config::SignUp,
    crypt::invite_code,
    secret::Secret,
    store::{self, Tx},
};

use crate::{
    problem::{Code, Problem},
    state::State,
};

/// What somebody brings who wants an account.
#[derive(Clone, Copy, Debug)]
pub enum Admission {
    /// Nothing is needed.
    Open,
    /// The hash of a code; `by_invite`: that of a workspace's invite does.
    Code { hash: [u8; 32], by_invite: bool },
}

impl Admission {
    /// Fails where a code is needed and none is there, or nothing that can be one: before anything slow is done for it.
    pub fn presented(state: &State, code: Option<&Secret<String>>) -> Result<Self, Problem> {
        let by_invite = match state.platform.config.sign_up() {
            SignUp::Open => return Ok(Self::Open),
            SignUp::Invited => true,
            SignUp::Closed => false,
        };
        let hash = code.and_then(invite_code::hash).ok_or_else(refused)?;
        Ok(Self::Code { hash, by_invite })
    }

    /// Fails unless it lets this (normalised) address in.
    pub async fn check(self, tx: &Tx, email: &str) -> Result<(), Problem> {
        let Self::Code { hash, by_invite } = self else { return Ok(()) };
        let admitted = store::admission::admits(tx, &hash, email).await?
            || by_invite && store::invite::names(tx, &hash, email).await?;
        if admitted { Ok(()) } else { Err(refused()) }
    }

    /// Makes a request with it another one than without; the code is random, so its hash tells nothing.
    pub fn meaning(self) -> Option<[u8; 32]> {
        match self {
            Self::Open => None,
            Self::Code { hash, .. } => Some(hash),
        }
    }

    /// What to say where the address has an account.
    pub fn taken(self) -> Problem {
        match self {
            Self::Open => Problem::new(Code::EmailTaken),
            Self::Code { .. } => refused(),
        }
    }
}

fn refused() -> Problem {
    Problem::new(Code::SignUpRefused)
}
