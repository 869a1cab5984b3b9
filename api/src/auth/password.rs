//! Passwords: strong enough, and hashed without starving the server.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nvisy_shared::{
    crypt::{hash_password, verify_password},
    id::AccountId,
    secret::Secret,
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use zxcvbn::{Score, zxcvbn};

use crate::{
    http::extract::invalid_field,
    problem::{Code, Problem},
};

/// Longest password, in characters: longer ones only cost time.
pub const MAX: usize = 128;

/// How long a request waits for its turn to hash.
const PATIENCE: Duration = Duration::from_secs(5);

/// A hash of nothing anybody knows, as costly to check as a real one: an unknown address takes as long as a known one.
const DUMMY: &str = "$argon2id$v=19$m=65536,t=3,p=1$X6MkdjAZlb/pqLzTkV8G/A$70udlehxPU6h6EuwoR+AYjllA3HyuC9GusmYw2MS35k";

/// Hashes a bounded number of passwords at a time: each takes 64 MiB and a core.
#[derive(Debug)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// Accounts whose owners are being asked for their password.
    asked: Mutex<HashSet<AccountId>>,
    /// Slow hashes computed: the same number must go into every answer to a login.
    #[cfg(test)]
    computed: std::sync::atomic::AtomicU64,
}

impl Passwords {
    pub fn new(at_a_time: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(at_a_time.max(1))),
            asked: Mutex::default(),
            #[cfg(test)]
            computed: std::sync::atomic::AtomicU64::default(),
        }
    }

    /// The hash to store.
    pub async fn hash(&self, password: Secret<String>) -> Result<Secret<String>, Problem> {
        self.in_turn(move || hash_password(&password)).await?.map_err(Problem::internal)
    }

    /// Whether this is the password of that hash; without a hash, `false` after the same time.
    pub async fn verify(&self, password: Secret<String>, hash: Option<Secret<String>>) -> Result<bool, Problem> {
        self.in_turn(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| Secret::new(DUMMY.to_owned()));
            verify_password(&password, &hash) && known
        })
        .await
    }

    /// Makes sure that whoever is signed in takes one turn at a time: nobody keeps the others from logging in.
    pub fn alone(&self, account: AccountId) -> Result<Alone<'_>, Problem> {
        let first = self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(account);
        // Made only then: dropping it makes room for the next.
        first.then(|| Alone { passwords: self, account }).ok_or_else(|| Problem::new(Code::TooManyRequests).retry_in(1))
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let turn = timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| Problem::unavailable(5))?.map_err(Problem::internal)?;
        #[cfg(test)]
        self.computed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // The turn goes along: a caller that hangs up does not make room before the work is done.
        let work = move || {
            let _turn = turn;
            work()
        };
        spawn_blocking(work).await.map_err(Problem::internal)
    }
}

/// The one request of an account that may have passwords hashed.
#[derive(Debug)]
pub struct Alone<'a> {
    passwords: &'a Passwords,
    account: AccountId,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.passwords.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account);
    }
}

/// Rule for `garde(custom(..))`: a length that a password can have.
pub fn length(value: &Secret<String>, (): &()) -> garde::Result {
    match value.expose().chars().count() {
        1..=MAX => Ok(()),
        _ => Err(garde::Error::new(format!("must have 1 to {MAX} characters"))),
    }
}

/// Refuses a password that is easy to guess, also by somebody who knows these words about the account.
pub async fn check_strength(field: &str, password: &Secret<String>, known: &[&str]) -> Result<(), Problem> {
    let password = password.clone();
    let known: Vec<String> = known.iter().map(|&word| word.to_owned()).collect();
    // Long ones take a while: other requests need not wait for that.
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
    fn the_dummy_hash_costs_what_a_real_one_does() {
        let real = hash_password(&Secret::new("any".to_owned())).unwrap();
        let cost = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(cost(DUMMY), cost(real.expose()));
        assert_eq!(DUMMY.len(), real.expose().len());
    }

    #[tokio::test]
    async fn an_unknown_account_costs_as_many_hashes_as_a_known_one() {
        let passwords = Passwords::new(1);
        let secret = |text: &str| Secret::new(text.to_owned());
        let computed = || passwords.computed.load(std::sync::atomic::Ordering::Relaxed);
        let hash = hash_password(&secret("any")).unwrap();
        assert!(passwords.verify(secret("any"), Some(hash.clone())).await.unwrap());
        assert_eq!(computed(), 1);
        assert!(!passwords.verify(secret("other"), Some(hash)).await.unwrap());
        assert_eq!(computed(), 2);
        assert!(!passwords.verify(secret("any"), None).await.unwrap());
        assert_eq!(computed(), 3);
    }

    #[test]
    fn passwords_made_of_what_is_known_are_weak() {
        let password = |text: &str| Secret::new(text.to_owned());
        assert!(weakness(&password("correct tidal turbine 92"), &[]).is_none());
        assert!(weakness(&password("password1"), &[]).is_some());
        assert!(weakness(&password("ada.lovelace@example.org"), &["ada.lovelace@example.org".to_owned()]).is_some());
    }

    #[test]
    fn of_one_account_one_request_takes_turns() {
        let passwords = Passwords::new(2);
        let (ada, bob) = (AccountId::new(), AccountId::new());
        let first = passwords.alone(ada).unwrap();
        assert!(passwords.alone(ada).is_err());
        assert!(passwords.alone(ada).is_err());
        assert!(passwords.alone(bob).is_ok());
        drop(first);
        assert!(passwords.alone(ada).is_ok());
    }
}
