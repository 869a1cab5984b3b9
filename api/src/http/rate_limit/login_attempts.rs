//! Tries at something that can be wrong: each is counted as a failure before it is made, and no more once it was right.

use std::net::IpAddr;

use nvisy_shared::store::{self, Db};

use super::{Kind, PATIENCE, Standing, Taken, hash};
use crate::{
    http::{client_info::Origin, client_network::Network},
    problem::Problem,
    state::State,
};

/// A try that may be made.
#[derive(Debug)]
#[must_use = "it counts as a failure until it has succeeded"]
pub struct Attempt<'a> {
    db: &'a Db,
    failure: Option<Taken>,
}

impl Attempt<'_> {
    /// It was no failure.
    pub async fn succeeded(self) {
        if let Some(failure) = self.failure {
            failure.give_back(self.db).await;
        }
    }
}

/// A try, from this address, at what lets somebody in.
pub async fn address(state: &State, address: IpAddr) -> Result<Option<Standing>, Problem> {
    let whose = hash(&[&Network::of(address).octets()]);
    state.limits.spend(&state.platform.db, Kind::Address, whose).await
}

/// A try at the password that goes with this name (normalised), which need not be anybody's.
///
/// Each network has its own tries, and all together a number of failures. Where those are used up, only networks go on
/// from which somebody is signed in, whoever that is: strangers elsewhere keep nobody from an account by naming it, and
/// who is where tells nobody whether a name has an account.
pub async fn attempt<'a>(state: &'a State, origin: &Origin, name: &str) -> Result<Attempt<'a>, Problem> {
    let (db, network) = (&state.platform.db, origin.network());
    state.limits.spend(db, Kind::Name, hash(&[&network.octets(), name.as_bytes()])).await?;
    match state.limits.take(db, Kind::Failures, hash(&[name.as_bytes()])).await {
        Ok(failure) => Ok(Attempt { db, failure }),
        Err(_) if is_home(db, network).await => Ok(Attempt { db, failure: None }),
        Err(empty) => Err(empty.problem()),
    }
}

/// A request for mail to this mailbox (normalised), in a bucket of its own for each network: neither strangers nor tries
/// at passwords keep anybody from it. How many mails a mailbox gets is the worker's to bound.
pub async fn mailbox(state: &State, origin: &Origin, mailbox: &str) -> Result<(), Problem> {
    let whose = hash(&[&origin.network().octets(), mailbox.as_bytes()]);
    state.limits.spend(&state.platform.db, Kind::Mailbox, whose).await.map(drop)
}

/// Whether somebody is signed in from there; not where that cannot be found out.
async fn is_home(db: &Db, network: Network) -> bool {
    match tokio::time::timeout(PATIENCE, store::session::is_home(db, &network.to_string())).await {
        Ok(Ok(home)) => home,
        Ok(Err(error)) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "nobody knows whether somebody is signed in from a network");
            false
        }
        Err(_) => false,
    }
}
