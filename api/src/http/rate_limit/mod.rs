//! Rate limits: each caller has a token bucket that refills steadily, and each request takes one token.
//!
//! All replicas draw from the same buckets, in PostgreSQL. A replica leases a twentieth of a bucket at once and spends it in
//! memory, so that most requests cost no statement; an empty bucket is remembered until it can hold a token again. Limits
//! that protect passwords lease one token at a time. If the database does not answer, requests are allowed, and only the
//! limits that protect passwords are counted, by each replica for itself.

mod bucket;
mod headers;
mod invalid_credentials;
mod login_attempts;
mod lru;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::HttpRequest;
use nvisy_shared::{
    config,
    id::{AccountId, SessionId, TokenId, WorkspaceId},
    store::{
        self, Db,
        credential::AuthMethod,
        rate_limit::{Grant, Rate},
    },
    telemetry::metrics::metrics,
};
use sha2::{Digest, Sha256};

pub use self::headers::record;
use self::{
    bucket::{Bucket, Spend},
    lru::BucketCache,
};
use crate::problem::{Code, Problem, RateLimitStatus};

/// Longest wait for the shared bucket.
const STORE_TIMEOUT: Duration = Duration::from_millis(500);
/// A lease is this fraction of a bucket.
const LEASES_PER_BUCKET: u32 = 20;
/// Most tokens of a lease, so that a process that dies takes few with it.
const MAX_LEASE_SIZE: u32 = 100;

/// The subjects that are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// All requests of an account's sessions.
    Account,
    /// All requests to a workspace.
    Workspace,
    /// Requests from an address to operations that take passwords and the like.
    Address,
    /// Login attempts from one network at one name, whether or not the name has an account.
    Name,
    /// All requests with one API token: a runaway program does not lock its owner out.
    Token,
    /// Failed login attempts at one name, from all networks.
    Failures,
    /// Requests from one network for mail to one mailbox.
    Mailbox,
    /// Invalid credentials from one network.
    InvalidCredentials,
    /// Refresh tokens of one session, valid or not.
    Session,
}

impl LimitKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Token => "token",
            Self::Workspace => "workspace",
            Self::Address => "address",
            Self::Name => "name",
            Self::Failures => "failures",
            Self::Mailbox => "mailbox",
            Self::InvalidCredentials => "refused",
            Self::Session => "session",
        }
    }

    /// Whether the limit holds without the shared bucket, too: it protects something that can be guessed, that reaches
    /// other people, or that costs a statement before the caller is known.
    const fn fails_closed(self) -> bool {
        matches!(self, Self::Address | Self::Name | Self::Failures | Self::Mailbox | Self::InvalidCredentials)
    }

    /// Tokens that a process leases at once.
    fn lease_size(self, capacity: u32) -> u32 {
        match self {
            Self::Account | Self::Token | Self::Workspace | Self::Session => {
                (capacity / LEASES_PER_BUCKET).clamp(1, MAX_LEASE_SIZE)
            }
            // Smaller: most tokens leased for a stray invalid credential are never spent.
            Self::InvalidCredentials => (capacity / 5 / LEASES_PER_BUCKET).clamp(1, MAX_LEASE_SIZE),
            Self::Address | Self::Name | Self::Failures | Self::Mailbox => 1,
        }
    }
}

/// The caller whose bucket counts a request.
#[derive(Clone, Copy, Debug)]
pub enum Caller {
    /// A person.
    Account(AccountId),
    /// A program, with an API token.
    Token(TokenId),
}

/// Limit kind and owner: an id, or a hash.
type BucketKey = [u8; 17];

/// The buckets that this process knows, and their sizes.
#[derive(Debug)]
pub struct RateLimiter {
    db: Db,
    settings: config::LimitConfig,
    buckets: BucketCache,
}

impl RateLimiter {
    pub fn new(db: Db, settings: &config::LimitConfig) -> Self {
        Self { db, settings: settings.clone(), buckets: BucketCache::new() }
    }

    /// Counts a request of an account: by a person, or by one of its API tokens.
    pub async fn count_caller(
        &self,
        request: &HttpRequest,
        account: AccountId,
        auth_method: &AuthMethod,
    ) -> Result<(), Problem> {
        match auth_method {
            AuthMethod::Session(_) => self.count_request(request, LimitKind::Account, account.0.into_bytes()).await,
            AuthMethod::Token(token, _) => self.count_request(request, LimitKind::Token, token.0.into_bytes()).await,
        }
    }

    /// Counts a request to a workspace that the caller may make.
    pub async fn count_workspace(&self, request: &HttpRequest, workspace: WorkspaceId) -> Result<(), Problem> {
        self.count_request(request, LimitKind::Workspace, workspace.0.into_bytes()).await
    }

    /// Counts further operations of a request that does several, of the caller and in the workspace: all of them, or none and 429.
    pub async fn count_further(&self, caller: Caller, workspace: WorkspaceId, count: usize) -> Result<(), Problem> {
        let caller = match caller {
            Caller::Account(account) => (LimitKind::Account, account.0.into_bytes()),
            Caller::Token(token) => (LimitKind::Token, token.0.into_bytes()),
        };
        let mut permits = Vec::new();
        for (kind, owner) in [caller, (LimitKind::Workspace, workspace.0.into_bytes())] {
            for missing in (1..=count).rev() {
                match self.acquire(kind, owner).await {
                    Ok(permit) => permits.extend(permit),
                    Err(exhausted) => {
                        for permit in permits {
                            permit.refund(&self.db).await;
                        }
                        return Err(exhausted.after(missing).problem());
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts a refresh token of a session, valid or not.
    pub async fn count_session(&self, request: &HttpRequest, session: SessionId) -> Result<(), Problem> {
        self.count_request(request, LimitKind::Session, session.0.into_bytes()).await
    }

    async fn count_request(&self, request: &HttpRequest, kind: LimitKind, owner: [u8; 16]) -> Result<(), Problem> {
        if let Some(status) = self.count(kind, owner).await? {
            record(request, status);
        }
        Ok(())
    }

    /// Takes one token from the owner's bucket; 429 where it is empty, `None` where there is no limit.
    async fn count(&self, kind: LimitKind, owner: [u8; 16]) -> Result<Option<RateLimitStatus>, Problem> {
        let permit = self.acquire(kind, owner).await.map_err(Exhausted::problem)?;
        Ok(permit.map(|permit| permit.status()))
    }

    /// Takes one token, which can be refunded; `None` where there is no limit.
    async fn acquire(&self, kind: LimitKind, owner: [u8; 16]) -> Result<Option<Permit>, Exhausted> {
        match self.rate_and_key(kind, owner) {
            Some((rate, key)) => self.draw(kind, key, rate).await,
            None => Ok(None),
        }
    }

    /// The refill rate and the name of the owner's bucket; `None` where there is no limit.
    fn rate_and_key(&self, kind: LimitKind, owner: [u8; 16]) -> Option<(Rate, BucketKey)> {
        let capacity = Some(self.capacity(kind)).filter(|capacity| *capacity > 0)?;
        let mut key = [kind as u8; 17];
        key[1..].copy_from_slice(&owner);
        Some((Rate { capacity, per_second: f64::from(capacity) / 60.0 }, key))
    }

    /// Requests a minute; 0: no limit.
    fn capacity(&self, kind: LimitKind) -> u32 {
        match kind {
            LimitKind::Account => self.settings.account_minute,
            LimitKind::Token => self.settings.token_minute,
            LimitKind::Workspace => self.settings.workspace_minute,
            LimitKind::Address | LimitKind::Session => self.settings.address_minute,
            LimitKind::Name | LimitKind::Mailbox => self.settings.name_minute,
            LimitKind::Failures => self.settings.name_failures_minute,
            LimitKind::InvalidCredentials => self.settings.refused_minute,
        }
    }

    async fn draw(&self, kind: LimitKind, key: BucketKey, rate: Rate) -> Result<Option<Permit>, Exhausted> {
        let bucket = self.buckets.get(key);
        let mut spend = bucket.spend(Instant::now());
        if spend == Spend::NeedsRefill {
            let _refill = bucket.refill.lock().await;
            spend = bucket.spend(Instant::now());
            while spend == Spend::NeedsRefill {
                let lease = store::rate_limit::take(&self.db, &key, rate, kind.lease_size(rate.capacity));
                match in_time::<Grant>(kind, lease).await {
                    Some(grant) => bucket.grant(Instant::now(), grant, rate),
                    None => bucket.local_fallback(Instant::now(), rate, kind.fails_closed()),
                }
                spend = bucket.spend(Instant::now());
            }
        }
        match spend {
            Spend::Allowed { remaining } => Ok(Some(Permit { kind, key, rate, remaining, bucket })),
            Spend::Exhausted { wait } => Err(Exhausted { kind, rate, wait }),
            Spend::NeedsRefill => Ok(None),
        }
    }
}

/// One token of a bucket.
#[derive(Debug)]
struct Permit {
    kind: LimitKind,
    key: BucketKey,
    rate: Rate,
    remaining: u32,
    bucket: Arc<Bucket>,
}

impl Permit {
    fn status(&self) -> RateLimitStatus {
        RateLimitStatus::new(self.rate.capacity, self.rate.per_second, self.remaining)
    }

    /// Puts the token back.
    async fn refund(self, db: &Db) {
        if self.bucket.refund(self.rate, self.kind.lease_size(self.rate.capacity) > 1) {
            return;
        }
        if in_time(self.kind, store::rate_limit::refund(db, &self.key, self.rate)).await.is_some() {
            self.bucket.refunded_to_shared();
        }
    }
}

/// The bucket is empty for as long as `wait`.
#[derive(Clone, Copy, Debug)]
struct Exhausted {
    kind: LimitKind,
    rate: Rate,
    wait: Duration,
}

impl Exhausted {
    /// As long as it takes to refill so many tokens.
    fn after(self, missing: usize) -> Self {
        let further = Duration::try_from_secs_f64((missing - 1) as f64 / self.rate.per_second).unwrap_or_default();
        Self { wait: self.wait + further, ..self }
    }

    fn problem(self) -> Problem {
        metrics().limit_refused(self.kind.name());
        let status = RateLimitStatus::new(self.rate.capacity, self.rate.per_second, 0);
        Problem::new(Code::TooManyRequests).retry_in(whole_seconds(self.wait)).rate_limit(status)
    }
}

/// The shared bucket's result, if it comes in time.
async fn in_time<T>(kind: LimitKind, statement: impl Future<Output = store::Result<T>>) -> Option<T> {
    match tokio::time::timeout(STORE_TIMEOUT, statement).await {
        Ok(Ok(result)) => return Some(result),
        Ok(Err(error)) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, limit.kind = kind.name(), "requests are not counted across replicas");
        }
        Err(_) => {
            tracing::warn!(
                limit.kind = kind.name(),
                "requests are not counted across replicas: the database does not answer"
            );
        }
    }
    metrics().limit_unshared(kind.name());
    None
}

/// Rounded up, so that a client that waits this long is not rejected again.
fn whole_seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

/// A hash of the parts and of the borders between them.
fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|index| hash[index])
}
