//! How many requests somebody may make: each has a bucket that fills steadily, and a request takes one from it.
//!
//! All replicas draw from the same buckets, in PostgreSQL. A replica takes a twentieth of a bucket at once and spends that
//! in memory, so that most requests cost nothing; a bucket that is empty is remembered until it can have one again. What
//! guards passwords is taken one by one. If the database does not answer, nobody is refused for that, and what guards
//! passwords is counted by each replica alone.

mod bucket;
mod headers;
mod invalid_credentials;
mod login_attempts;
mod lru;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, web::Data};
use nvisy_shared::{
    config,
    id::{AccountId, SessionId, WorkspaceId},
    store::{
        self, Db,
        credential::AuthMethod,
        limit::{Grant, Rate},
    },
    telemetry::metrics::metrics,
};
use sha2::{Digest, Sha256};

pub use self::login_attempts::address;
use self::{
    bucket::{Bucket, Spent},
    lru::Buckets,
};
pub use self::{
    headers::Standing,
    invalid_credentials::credential,
    login_attempts::{attempt, mailbox},
};
use crate::{
    problem::{Code, Problem},
    state::State,
};

/// Longest wait for the shared bucket.
const PATIENCE: Duration = Duration::from_millis(500);
/// The part of a bucket that a process takes at once.
const PART: u32 = 20;
/// Most of it, so that a process that goes down takes little with it.
const MOST: u32 = 100;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// All requests of the people who are signed in to an account.
    Account,
    /// All requests to a workspace.
    Workspace,
    /// Requests from an address to operations that take passwords and the like.
    Address,
    /// Tries from one network at the password that goes with one name, whether or not there is such an account.
    Name,
    /// All requests with one API token: a program that runs wild leaves its owner alone.
    Token,
    /// Failures of tries at the password that goes with one name, from wherever.
    Failures,
    /// Requests from one network for mail to one mailbox.
    Mailbox,
    /// Credentials from one network that are nobody's.
    Refused,
    /// Refresh tokens of one session, good or not any more.
    Session,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Token => "token",
            Self::Workspace => "workspace",
            Self::Address => "address",
            Self::Name => "name",
            Self::Failures => "failures",
            Self::Mailbox => "mailbox",
            Self::Refused => "refused",
            Self::Session => "session",
        }
    }

    /// Whether it stands before something that can be guessed, that other people get, or that anybody may have asked.
    const fn guards(self) -> bool {
        matches!(self, Self::Address | Self::Name | Self::Failures | Self::Mailbox | Self::Refused)
    }

    /// How much of its bucket a process takes at once.
    fn part(self, capacity: u32) -> u32 {
        match self {
            Self::Account | Self::Token | Self::Workspace | Self::Session => (capacity / PART).clamp(1, MOST),
            // Less: most of what is taken for a stray one is never used.
            Self::Refused => (capacity / 5 / PART).clamp(1, MOST),
            Self::Address | Self::Name | Self::Failures | Self::Mailbox => 1,
        }
    }
}

/// Kind and whose: an id, or a hash.
type Key = [u8; 17];

/// The buckets this process knows, and how large they are.
#[derive(Debug)]
pub struct Limits {
    settings: config::LimitConfig,
    buckets: Buckets,
}

impl Limits {
    pub fn new(settings: &config::LimitConfig) -> Self {
        Self { settings: settings.clone(), buckets: Buckets::new() }
    }

    /// Requests a minute; 0 for as many as they like.
    fn capacity(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Account => self.settings.account_minute,
            Kind::Token => self.settings.token_minute,
            Kind::Workspace => self.settings.workspace_minute,
            Kind::Address | Kind::Session => self.settings.address_minute,
            Kind::Name | Kind::Mailbox => self.settings.name_minute,
            Kind::Failures => self.settings.name_failures_minute,
            Kind::Refused => self.settings.refused_minute,
        }
    }

    /// Takes one request from somebody's bucket; refused with 429 where it is empty.
    async fn spend(&self, db: &Db, kind: Kind, whose: [u8; 16]) -> Result<Option<Standing>, Problem> {
        let taken = self.take(db, kind, whose).await.map_err(Empty::problem)?;
        Ok(taken.map(|taken| taken.standing()))
    }

    /// Takes one request's worth, which may be given back; nothing where there is no limit.
    async fn take(&self, db: &Db, kind: Kind, whose: [u8; 16]) -> Result<Option<Taken>, Empty> {
        match self.rate_and_key(kind, whose) {
            Some((rate, key)) => self.draw(db, kind, key, rate).await,
            None => Ok(None),
        }
    }

    /// How somebody's bucket fills, and its name; nothing where there is no limit.
    fn rate_and_key(&self, kind: Kind, whose: [u8; 16]) -> Option<(Rate, Key)> {
        let capacity = Some(self.capacity(kind)).filter(|capacity| *capacity > 0)?;
        let mut key = [kind as u8; 17];
        key[1..].copy_from_slice(&whose);
        Some((Rate { capacity, per_second: f64::from(capacity) / 60.0 }, key))
    }

    async fn draw(&self, db: &Db, kind: Kind, key: Key, rate: Rate) -> Result<Option<Taken>, Empty> {
        let bucket = self.buckets.get(key);
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
            Spent::Yes { remaining } => Ok(Some(Taken { kind, key, rate, remaining, bucket })),
            Spent::No { wait } => Err(Empty { kind, rate, wait }),
            Spent::Ask => Ok(None),
        }
    }
}

/// One request's worth of somebody's bucket.
#[derive(Debug)]
struct Taken {
    kind: Kind,
    key: Key,
    rate: Rate,
    remaining: u32,
    bucket: Arc<Bucket>,
}

impl Taken {
    fn standing(&self) -> Standing {
        Standing::new(self.rate, self.remaining)
    }

    /// As if it had not been taken.
    async fn give_back(self, db: &Db) {
        if self.bucket.keep(self.rate, self.kind.part(self.rate.capacity) > 1) {
            return;
        }
        if shared(self.kind, store::limit::give_back(db, &self.key, self.rate)).await.is_some() {
            self.bucket.refilled();
        }
    }
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug)]
struct Empty {
    kind: Kind,
    rate: Rate,
    wait: Duration,
}

impl Empty {
    /// Refuses the request for it.
    fn problem(self) -> Problem {
        metrics().limit_refused(self.kind.name());
        let standing = Standing::new(self.rate, 0);
        Problem::new(Code::TooManyRequests).retry_in(whole_seconds(self.wait)).standing(standing)
    }
}

async fn ask(db: &Db, kind: Kind, key: &Key, rate: Rate) -> Option<Grant> {
    shared(kind, store::limit::take(db, key, rate, kind.part(rate.capacity))).await
}

/// What the shared bucket says, if it says something in time.
async fn shared<T>(kind: Kind, question: impl Future<Output = store::Result<T>>) -> Option<T> {
    match tokio::time::timeout(PATIENCE, question).await {
        Ok(Ok(answer)) => return Some(answer),
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
pub async fn caller(request: &HttpRequest, account: AccountId, auth_method: &AuthMethod) -> Result<(), Problem> {
    match auth_method {
        AuthMethod::Session(_) => count(request, Kind::Account, account.0.into_bytes()).await,
        AuthMethod::Token(token, _) => count(request, Kind::Token, token.0.into_bytes()).await,
    }
}

/// A request to this workspace, by somebody who may make it.
pub async fn workspace(request: &HttpRequest, workspace: WorkspaceId) -> Result<(), Problem> {
    count(request, Kind::Workspace, workspace.0.into_bytes()).await
}

/// A refresh token of this session, whatever became of it.
pub async fn session(request: &HttpRequest, session: SessionId) -> Result<(), Problem> {
    count(request, Kind::Session, session.0.into_bytes()).await
}

async fn count(request: &HttpRequest, kind: Kind, whose: [u8; 16]) -> Result<(), Problem> {
    let Some(state) = request.app_data::<Data<State>>() else { return Ok(()) };
    if let Some(standing) = state.limits.spend(&state.platform.db, kind, whose).await? {
        standing.note(request);
    }
    Ok(())
}

/// Of parts that can be told apart again, whatever is in them.
fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|place| hash[place])
}
