//! Passwords: their strength, and hashing them without starving the server.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use garde::Validate;
use nvisy_shared::{
    crypt::{KeyPurpose, Keyring, hash_password, verify_password},
    id::AccountId,
    secret::Secret,
};
use schemars::{
    JsonSchema,
    r#gen::SchemaGenerator,
    schema::{InstanceType, Schema, SchemaObject, StringValidation},
};
use serde::Deserialize;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use uuid::Uuid;
use zxcvbn::{Score, zxcvbn};

use crate::{
    http::extract::invalid_field,
    problem::{Code, Problem},
};

/// Longer passwords only cost time.
const MAX_CHARS: usize = 128;

/// How long a request waits for a permit to hash.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// A hash that no password has, as costly to verify as a real one: an unknown address takes as long as a known one.
fn dummy_hash(mebibytes: u32) -> Secret<String> {
    let cost = format!("m={},t=3,p=1", 1024 * mebibytes);
    let (salt, hash) = ("X6MkdjAZlb/pqLzTkV8G/A", "70udlehxPU6h6EuwoR+AYjllA3HyuC9GusmYw2MS35k");
    Secret::new(format!("$argon2id$v=19${cost}${salt}${hash}"))
}

/// Hashes a bounded number of passwords at a time: each takes memory and a core.
#[derive(Debug)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    /// Memory of a new hash.
    mebibytes: u32,
    /// Accounts of which a request verifies a password now.
    locked_accounts: Mutex<HashSet<AccountId>>,
    /// Slow hashes computed: every response to a login must cost the same number.
    #[cfg(test)]
    computed: std::sync::atomic::AtomicU64,
}

impl Passwords {
    pub fn new(max_concurrent: usize, mebibytes: u32) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(max_concurrent.max(1))),
            mebibytes,
            locked_accounts: Mutex::default(),
            #[cfg(test)]
            computed: std::sync::atomic::AtomicU64::default(),
        }
    }

    /// The hash to store.
    pub async fn hash(&self, password: Secret<String>) -> Result<Secret<String>, Problem> {
        let mebibytes = self.mebibytes;
        self.with_permit(move || hash_password(&password, mebibytes)).await?.map_err(Problem::internal)
    }

    /// Whether this is the password of that hash; without a hash, `false` after the same time.
    pub async fn verify(&self, password: Secret<String>, hash: Option<Secret<String>>) -> Result<bool, Problem> {
        let mebibytes = self.mebibytes;
        self.with_permit(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| dummy_hash(mebibytes));
            verify_password(&password, &hash) && known
        })
        .await
    }

    /// Lets one request of an account at a time take a permit: a signed-in account cannot keep others from logging in.
    pub fn lock_account(&self, account: AccountId) -> Result<PerAccountLock<'_>, Problem> {
        let first = self.locked_accounts.lock().unwrap_or_else(PoisonError::into_inner).insert(account);
        // Created only then: dropping it unlocks the account.
        first
            .then(|| PerAccountLock { passwords: self, account })
            .ok_or_else(|| Problem::new(Code::TooManyRequests).retry_in(1))
    }

    async fn with_permit<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let permit = timeout(PERMIT_TIMEOUT, self.permits.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| Problem::unavailable(5))?.map_err(Problem::internal)?;
        #[cfg(test)]
        self.computed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // The permit moves along: a client that disconnects does not free it before the work is done.
        let work = move || {
            let _permit = permit;
            work()
        };
        spawn_blocking(work).await.map_err(Problem::internal)
    }
}

/// Held by the one request of an account that may verify passwords.
#[derive(Debug)]
pub struct PerAccountLock<'a> {
    passwords: &'a Passwords,
    account: AccountId,
}

impl Drop for PerAccountLock<'_> {
    fn drop(&mut self) {
        self.passwords.locked_accounts.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account);
    }
}

/// A password in a request: 1 to 128 characters.
#[derive(Clone, Debug, Deserialize, Validate)]
#[serde(transparent)]
#[garde(transparent)]
pub struct Password(#[garde(custom(check_length))] Secret<String>);

impl Password {
    pub fn into_secret(self) -> Secret<String> {
        self.0
    }
}

/// An inline string in the OpenAPI document.
impl JsonSchema for Password {
    fn is_referenceable() -> bool {
        false
    }

    fn schema_name() -> String {
        "Password".to_owned()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let length = StringValidation {
            min_length: Some(1),
            max_length: u32::try_from(MAX_CHARS).ok(),
            pattern: Some(r"^[^\u0000]*$".to_owned()),
        };
        SchemaObject {
            instance_type: Some(InstanceType::String.into()),
            string: Some(Box::new(length)),
            ..SchemaObject::default()
        }
        .into()
    }
}

fn check_length(value: &Secret<String>, (): &()) -> garde::Result {
    match value.expose().chars().count() {
        1..=MAX_CHARS => Ok(()),
        _ => Err(garde::Error::new(format!("must have 1 to {MAX_CHARS} characters"))),
    }
}

/// Distinguishes passwords in repeated requests. A fast hash, but under a key that the database does not hold: the database
/// alone is not enough to guess the password.
pub fn fingerprint(keys: &Keyring, password: &Secret<String>) -> String {
    let key = keys.derive_for(Uuid::nil(), KeyPurpose::RequestFingerprint);
    hex::encode(key.mac(password.expose().as_bytes()))
}

/// Rejects a password that is easy to guess, also with these words from the account.
pub async fn check_strength(field: &str, password: &Secret<String>, known: &[&str]) -> Result<(), Problem> {
    let password = password.clone();
    let known: Vec<String> = known.iter().map(|&word| word.to_owned()).collect();
    // Off the async threads: long passwords take a while.
    let weakness = spawn_blocking(move || weakness(&password, &known)).await.map_err(Problem::internal)?;
    weakness.map_or(Ok(()), |reason| Err(invalid_field(field, format!("too easy to guess: {reason}"))))
}

fn weakness(password: &Secret<String>, known: &[String]) -> Option<String> {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let estimate = zxcvbn(password.expose(), &known);
    if estimate.score() >= Score::Three {
        return None;
    }
    let warning = estimate.feedback().and_then(|feedback| feedback.warning());
    Some(warning.map_or_else(|| "Add another word or two.".to_owned(), |warning| warning.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dummy_hash_costs_as_much_as_a_real_one() {
        let cost = |hash: &Secret<String>| hash.expose().split('$').take(4).collect::<Vec<_>>().join("$");
        for mebibytes in [12, 64] {
            let real = hash_password(&Secret::new("any".to_owned()), mebibytes).unwrap();
            let dummy = dummy_hash(mebibytes);
            assert_eq!(cost(&dummy), cost(&real));
            assert_eq!(dummy.expose().len(), real.expose().len());
        }
    }

    #[tokio::test]
    async fn unknown_account_costs_as_many_hashes_as_a_known_one() {
        let passwords = Passwords::new(1, 12);
        let secret = |text: &str| Secret::new(text.to_owned());
        let computed = || passwords.computed.load(std::sync::atomic::Ordering::Relaxed);
        let hash = hash_password(&secret("any"), 12).unwrap();
        assert!(passwords.verify(secret("any"), Some(hash.clone())).await.unwrap());
        assert_eq!(computed(), 1);
        assert!(!passwords.verify(secret("other"), Some(hash)).await.unwrap());
        assert_eq!(computed(), 2);
        assert!(!passwords.verify(secret("any"), None).await.unwrap());
        assert_eq!(computed(), 3);
    }

    #[test]
    fn password_made_of_account_data_is_weak() {
        let password = |text: &str| Secret::new(text.to_owned());
        assert!(weakness(&password("correct tidal turbine 92"), &[]).is_none());
        assert!(weakness(&password("password1"), &[]).is_some());
        assert!(weakness(&password("ada.lovelace@example.org"), &["ada.lovelace@example.org".to_owned()]).is_some());
    }

    #[test]
    fn only_one_request_of_an_account_verifies_passwords_at_a_time() {
        let passwords = Passwords::new(2, 12);
        let (ada, bob) = (AccountId::new(), AccountId::new());
        let first = passwords.lock_account(ada).unwrap();
        assert!(passwords.lock_account(ada).is_err());
        assert!(passwords.lock_account(ada).is_err());
        assert!(passwords.lock_account(bob).is_ok());
        drop(first);
        assert!(passwords.lock_account(ada).is_ok());
    }
}
