//! Changes: the transactions of API and workers, which record themselves in the activity log and the event log.
//!
//! A change collects its entries and events and appends them when its operation is done. Every change takes locks in the
//! order of [docs/ARCHITECTURE.md](../../../docs/ARCHITECTURE.md#locks), the logs last, so that none waits for another that
//! waits for it. PostgreSQL still aborts a transaction where an order is missing: the operation is then repeated from its
//! beginning, in a new transaction.

use std::{ops::Deref, result, time::Duration};

use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{
    Db, Error, Result, TransactionTrait, Tx,
    activity::{self, ACCOUNT_CHAIN, ActorContext, AuditEntry},
    event::{self, NewEvent},
    is_conflict, transaction,
};
use crate::{
    crypt::{self, audit_mac::AuditKeys},
    domain::{
        activity::{Action, Actor},
        event::EventType,
    },
    id::WorkspaceId,
};

/// Attempts at a change that conflicts with others.
const MAX_ATTEMPTS: u32 = 6;
/// Longest wait before the second attempt; it doubles with each further one.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(20);

/// The database, the actor, and the chain of the activity log to which most entries of the actor's changes belong.
#[derive(Clone, Debug)]
pub struct ChangeScope<'a> {
    db: &'a Db,
    keys: &'a AuditKeys,
    chain: WorkspaceId,
    context: ActorContext,
}

impl<'a> ChangeScope<'a> {
    /// `chain` is a workspace, or [`ACCOUNT_CHAIN`].
    #[must_use]
    pub const fn new(db: &'a Db, keys: &'a AuditKeys, chain: WorkspaceId, context: ActorContext) -> Self {
        Self { db, keys, chain, context }
    }

    /// Runs the operation in a transaction, appends its entries and events, and commits. An error of the operation undoes
    /// everything.
    ///
    /// After a deadlock or a serialisation failure the operation runs again, from its beginning: everything that it does
    /// outside the transaction must bear repetition. An error that leaves the outcome of the commit open is returned.
    ///
    /// # Errors
    /// The operation's, and the database's.
    pub async fn run<T, E>(
        &self,
        mut operation: impl AsyncFnMut(&mut Change) -> result::Result<T, E>,
    ) -> result::Result<T, E>
    where
        E: From<Error> + std::error::Error + 'static,
    {
        let mut attempt = 1;
        loop {
            let result = self.attempt(&mut operation).await;
            let Some(delay) = retry_delay(&result, attempt) else { return result };
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
    }

    /// As [`ChangeScope::run`], for tasks that move between threads: `operation` makes the closure of each attempt, because the
    /// compiler cannot tell that the futures of one closure that runs several times are `Send`.
    ///
    /// # Errors
    /// As [`ChangeScope::run`].
    pub async fn run_send<T, E, F>(&self, mut operation: impl FnMut() -> F) -> result::Result<T, E>
    where
        E: From<Error> + std::error::Error + 'static,
        F: AsyncFnOnce(&mut Change) -> result::Result<T, E>,
    {
        let mut attempt = 1;
        loop {
            let result = self.attempt(operation()).await;
            let Some(delay) = retry_delay(&result, attempt) else { return result };
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
    }

    async fn attempt<T, E: From<Error>>(
        &self,
        operation: impl AsyncFnOnce(&mut Change) -> result::Result<T, E>,
    ) -> result::Result<T, E> {
        let mut change = self.begin().await?;
        match operation(&mut change).await {
            Ok(value) => {
                change.commit(self.keys).await?;
                Ok(value)
            }
            Err(error) => {
                change.roll_back().await;
                Err(error)
            }
        }
    }

    async fn begin(&self) -> Result<Change> {
        Ok(Change {
            tx: self.db.begin().await?,
            chain: self.chain,
            context: self.context.clone(),
            entries: Vec::new(),
            events: Vec::new(),
        })
    }
}

/// The wait before the next attempt; `None`: the result is final.
fn retry_delay<T, E: std::error::Error + 'static>(result: &result::Result<T, E>, attempt: u32) -> Option<Duration> {
    let conflict = result.as_ref().err().is_some_and(|error| is_conflict(error));
    (conflict && attempt < MAX_ATTEMPTS).then(|| {
        tracing::info!(attempt, "a transaction conflicted with another one and is repeated");
        random_delay(attempt)
    })
}

/// Random, so that transactions that conflicted do not meet again.
fn random_delay(attempt: u32) -> Duration {
    let longest = FIRST_RETRY_DELAY * 2_u32.pow(attempt - 1);
    let [share] = crypt::random::<1>();
    longest / 4 + longest * 3 / 4 * u32::from(share) / 255
}

/// A transaction, and the entries and events that it appends when it commits.
#[derive(Debug)]
pub struct Change {
    tx: Tx,
    chain: WorkspaceId,
    context: ActorContext,
    entries: Vec<ChainEntry>,
    events: Vec<NewEvent>,
}

#[derive(Debug)]
struct ChainEntry {
    chain: WorkspaceId,
    context: ActorContext,
    entry: AuditEntry,
}

impl Deref for Change {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl Change {
    /// The transaction, for functions that take any connection.
    #[must_use]
    pub const fn tx(&self) -> &Tx {
        &self.tx
    }

    /// The account that acts, itself or through a token.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        self.context.actor
    }

    /// Sets the actor of the entries from here on: an account that the operation itself has found or created.
    pub const fn set_actor(&mut self, actor: Actor) {
        self.context.actor = actor;
    }

    /// Records an action on an object.
    pub fn audit(&mut self, action: Action, object: impl Into<Uuid>) {
        self.audit_with(action, object, json!({}));
    }

    /// Records an action with details, which contain no name, no address and no document text.
    pub fn audit_with(&mut self, action: Action, object: impl Into<Uuid>, details: Json) {
        self.audit_entry(AuditEntry::new(action, object, details));
    }

    /// Records an entry.
    pub fn audit_entry(&mut self, entry: AuditEntry) {
        self.audit_in(self.chain, entry);
    }

    /// Records an entry in another chain than that of the scope.
    pub fn audit_in(&mut self, chain: WorkspaceId, entry: AuditEntry) {
        self.entries.push(ChainEntry { chain, context: self.context.clone(), entry });
    }

    /// Records an entry of another actor or request.
    pub fn audit_as(&mut self, context: ActorContext, entry: AuditEntry) {
        self.entries.push(ChainEntry { chain: self.chain, context, entry });
    }

    /// Adds an event of the scope's workspace.
    pub fn emit(&mut self, kind: EventType, subject: impl Into<Uuid>, data: Json) {
        self.events.push(NewEvent { kind, subject: subject.into(), data });
    }

    async fn commit(mut self, keys: &AuditKeys) -> Result<()> {
        if let Err(error) = self.append(keys).await {
            self.roll_back().await;
            return Err(error);
        }
        transaction::commit(self.tx).await
    }

    /// Appends to the logs: to the chains of workspaces by id, to the chain of accounts, to the events of the scope's workspace.
    async fn append(&mut self, keys: &AuditKeys) -> Result<()> {
        // Stable: entries of a chain keep their order.
        self.entries.sort_by_key(|entry| (entry.chain == ACCOUNT_CHAIN, entry.chain));
        for entries in self.entries.chunk_by(|one, next| one.chain == next.chain) {
            let rows: Vec<_> = entries.iter().map(|entry| (&entry.context, &entry.entry)).collect();
            activity::append(&self.tx, keys, entries[0].chain, &rows).await?;
        }
        event::append(&self.tx, self.chain, &self.events).await
    }

    /// Awaited, so that a client that repeats the request at once finds nothing locked.
    async fn roll_back(self) {
        if let Err(error) = transaction::roll_back(self.tx).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "a rollback failed; PostgreSQL rolls back when the connection ends");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delay_doubles_within_bounds_and_is_random() {
        for attempt in 1..MAX_ATTEMPTS {
            let longest = FIRST_RETRY_DELAY * 2_u32.pow(attempt - 1);
            let delays: Vec<_> = (0..50).map(|_| random_delay(attempt)).collect();
            assert!(delays.iter().all(|delay| (longest / 4..=longest).contains(delay)), "{delays:?}");
            assert!(delays.iter().any(|delay| *delay != delays[0]));
        }
    }
}
