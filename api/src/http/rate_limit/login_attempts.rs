//! Limiting attempts at something that can be guessed: each counts as a failure before it is made, until it succeeds.

use nvisy_shared::store::{self, Db};

use super::{Exhausted, LimitKind, Permit, RateLimiter, STORE_TIMEOUT, hash};
use crate::{
    http::{client_info::ClientInfo, client_network::ClientNetwork},
    problem::{Problem, RateLimitStatus},
};

/// An attempt that may be made.
#[derive(Debug)]
#[must_use = "it counts as a failure until it has succeeded"]
pub struct Attempt<'a> {
    db: &'a Db,
    failure: Option<Permit>,
}

impl Attempt<'_> {
    /// Takes the failure back.
    pub async fn succeeded(self) {
        if let Some(failure) = self.failure {
            failure.refund(self.db).await;
        }
    }
}

impl RateLimiter {
    /// Counts a request from this network to an operation that takes passwords and the like.
    pub async fn count_address(&self, network: ClientNetwork) -> Result<Option<RateLimitStatus>, Problem> {
        self.count(LimitKind::Address, hash(&[&network.octets()])).await
    }

    /// Counts an attempt at the password of this (normalised) name, which need not have an account.
    ///
    /// Each network has attempts of its own, and all networks together share a number of failures. Once those are used up,
    /// only networks from which any account is signed in may go on: callers elsewhere cannot lock an account by naming it,
    /// and the exception does not reveal whether the name has an account.
    pub async fn attempt(&self, client: &ClientInfo, name: &str) -> Result<Attempt<'_>, Problem> {
        let network = client.network();
        self.count(LimitKind::Name, hash(&[&network.octets(), name.as_bytes()])).await?;
        match self.acquire(LimitKind::Failures, hash(&[name.as_bytes()])).await {
            Ok(failure) => Ok(Attempt { db: &self.db, failure }),
            Err(_) if self.has_session_from(network).await => Ok(Attempt { db: &self.db, failure: None }),
            Err(exhausted) => Err(Exhausted::problem(exhausted)),
        }
    }

    /// Counts a request for mail to this (normalised) mailbox. Each network has a bucket of its own, so neither other
    /// callers nor password attempts use it up; the worker limits how many mails a mailbox gets.
    pub async fn count_mailbox(&self, client: &ClientInfo, mailbox: &str) -> Result<(), Problem> {
        let owner = hash(&[&client.network().octets(), mailbox.as_bytes()]);
        self.count(LimitKind::Mailbox, owner).await.map(drop)
    }

    /// Whether any account is signed in from the network; `false` where the database does not answer.
    async fn has_session_from(&self, network: ClientNetwork) -> bool {
        let network = network.to_string();
        let lookup = store::session::has_session_from_network(&self.db, &network);
        match tokio::time::timeout(STORE_TIMEOUT, lookup).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "the sessions of a network could not be read");
                false
            }
            Err(_) => false,
        }
    }
}
