//! How many requests somebody may make: each has a bucket that fills steadily, and a request takes one from it.
//!
//! All replicas draw from the same buckets, in PostgreSQL. A replica takes a twentieth of a bucket at once and spends that
//! in memory, so that most requests cost nothing; a bucket that is empty is remembered until it can have one again. What
//! guards passwords is taken one by one. If the database does not answer, nobody is refused for that, and what guards
//! passwords is counted by each replica alone.

mod bucket;
mod standing;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, web::Data};
use nvisy_shared::{
    config,
    id::{AccountId, WorkspaceId},
    store::{
        self, Db,
        credential::Means,
        limit::{Grant, Rate},
    },
    telemetry::metrics::metrics,
};
use sha2::{Digest, Sha256};

use self::bucket::{Bucket, Spent};
pub(crate) use self::standing::Standing;
use crate::{
    problem::{Code, Problem},
    state::State,
};

/// Longest wait for the shared bucket.
const PATIENCE: Duration = Duration::from_millis(500);
/// Buckets in memory before those that say nothing are dropped.
const KNOWN: usize = 10_000;
/// The part of a bucket that a process takes at once.
const PART: u32 = 20;
/// Most of it, so that a process that goes down takes little with it.
const MOST: u32 = 100;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// All requests of the people who are signed in to an account.
    Account,
    /// All requests to a workspace.
    Workspace,
    /// Requests from an address to operations that take passwords and the like.
    Address,
    /// Such requests that name the same account, whoever makes them and whether or not it exists.
    Name,
    /// All requests with one API token: a program that runs wild leaves its owner alone.
    Token,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Token => "token",
            Self::Workspace => "workspace",
            Self::Address => "address",
            Self::Name => "name",
        }
    }

    /// Whether it stands before something that can be guessed.
    const fn guards(self) -> bool {
        matches!(self, Self::Address | Self::Name)
    }

    /// How much of its bucket a process takes at once.
    fn part(self, capacity: u32) -> u32 {
        match self {
            Self::Account | Self::Token | Self::Workspace => (capacity / PART).clamp(1, MOST),
            Self::Address | Self::Name => 1,
        }
    }
}

/// Kind and whose: an id, or a hash.
type Key = [u8; 17];

/// The buckets this process knows, and how large they are.
#[derive(Debug)]
pub(crate) struct Limits {
    settings: config::Limit,
    buckets: Mutex<HashMap<Key, Arc<Bucket>>>,
}

impl Limits {
    pub(crate) fn new(settings: &config::Limit) -> Self {
        Self { settings: settings.clone(), buckets: Mutex::default() }
    }

    /// Requests a minute; 0 for as many as they like.
    fn capacity(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Account => self.settings.account_minute,
            Kind::Token => self.settings.token_minute,
            Kind::Workspace => self.settings.workspace_minute,
            Kind::Address => self.settings.address_minute,
            Kind::Name => self.settings.name_minute,
        }
    }

    /// Takes one request from somebody's bucket; refused with 429 where it is empty.
    async fn spend(&self, db: &Db, kind: Kind, whose: [u8; 16]) -> Result<Option<Standing>, Problem> {
        let capacity = self.capacity(kind);
        if capacity == 0 {
            return Ok(None);
        }
        let mut key = [kind as u8; 17];
        key[1..].copy_from_slice(&whose);
        let rate = Rate { capacity, per_second: f64::from(capacity) / 60.0 };
        let bucket = self.bucket(key);
        let mut spent = bucket.spend(Instant::now());
        if spent == Spent::Ask {
            let _asking = bucket.asking.lock().await;
            spent = bucket.spend(Instant::now());
            while spent == Spent::Ask {
                match ask(db, kind, &key, rate).await {
                    Some(grant) => bucket.grant(Instant::now(), grant, rate),
                    None => bucket.alone(Instant::now(), rate, kind.guards()),
                }
                spent = bucket.spend(Instant::now());
            }
        }
        match spent {
            Spent::Yes { remaining } => Ok(Some(Standing::new(rate, remaining))),
            Spent::No { wait } => {
                metrics().limit_refused(kind.name());
                Err(Problem::new(Code::TooManyRequests).retry_in(whole_seconds(wait)).standing(Standing::new(rate, 0)))
            }
            Spent::Ask => Ok(None),
        }
    }

    fn bucket(&self, key: Key) -> Arc<Bucket> {
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= KNOWN && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| !bucket.is_stale(now));
        }
        buckets.entry(key).or_insert_with(|| Arc::new(Bucket::new(now))).clone()
    }
}

async fn ask(db: &Db, kind: Kind, key: &Key, rate: Rate) -> Option<Grant> {
    let taking = store::limit::take(db, key, rate, kind.part(rate.capacity));
    match tokio::time::timeout(PATIENCE, taking).await {
        Ok(Ok(grant)) => return Some(grant),
        Ok(Err(error)) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, limit.kind = kind.name(), "requests are not counted across replicas");
        }
        Err(_) => tracing::warn!(limit.kind = kind.name(), "requests are not counted across replicas: no answer"),
    }
    metrics().limit_unshared(kind.name());
    None
}

/// Up to a whole second, so that whoever waits so long is not refused again.
fn whole_seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

/// A request of this account's, by a person or by one of its programs.
pub(crate) async fn caller(request: &HttpRequest, account: AccountId, means: &Means) -> Result<(), Problem> {
    match means {
        Means::Session(_) => count(request, Kind::Account, account.0.into_bytes()).await,
        Means::Token(token, _) => count(request, Kind::Token, token.0.into_bytes()).await,
    }
}

/// A request to this workspace, by somebody who may make it.
pub(crate) async fn workspace(request: &HttpRequest, workspace: WorkspaceId) -> Result<(), Problem> {
    count(request, Kind::Workspace, workspace.0.into_bytes()).await
}

async fn count(request: &HttpRequest, kind: Kind, whose: [u8; 16]) -> Result<(), Problem> {
    let Some(state) = request.app_data::<Data<State>>() else { return Ok(()) };
    if let Some(standing) = state.limits.spend(&state.platform.db, kind, whose).await? {
        standing.note(request);
    }
    Ok(())
}

/// A try at a password, or the like, from this address.
pub(super) async fn address(state: &State, address: IpAddr) -> Result<Option<Standing>, Problem> {
    let whose = match address.to_canonical() {
        IpAddr::V4(address) => hash(&address.octets()),
        // Whoever has one address of a network has them all.
        IpAddr::V6(address) => hash(&address.octets()[..8]),
    };
    state.limits.spend(&state.platform.db, Kind::Address, whose).await
}

/// Such a try at the account of this name (normalised), which need not exist.
pub(crate) async fn name(state: &State, name: &str) -> Result<(), Problem> {
    state.limits.spend(&state.platform.db, Kind::Name, hash(name.as_bytes())).await.map(drop)
}

fn hash(text: &[u8]) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::digest(text).into();
    std::array::from_fn(|place| hash[place])
}
