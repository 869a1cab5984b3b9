//! The second factor: time-based codes (RFC 6238) and recovery codes.

use chrono::{DateTime, Utc};
use nvisy_shared::{
    clock,
    crypt::{KeyPurpose, Keyring, envelope, random},
    domain::mail::MailKind,
    entity::totp::Model,
    id::AccountId,
    secret::Secret,
    store::{self, Tx},
};
use totp_rs::{Builder, Totp};

use crate::{
    mailer::Mailer,
    problem::{Code, Problem},
};

/// The length that RFC 4226 recommends.
const SECRET_BYTES: usize = 20;
/// The issuer that authenticator apps show.
const ISSUER: &str = "Nvisy";
/// Wrong codes in a row after which each further one has to wait, so that a million codes cannot be tried out.
const FREE_ATTEMPTS: i32 = 5;
/// Each wait is twice as long as the one before.
const FIRST_WAIT_SECONDS: i64 = 60;
/// At one code a day, guessing takes three thousand years.
const MAX_WAIT_SECONDS: i64 = 24 * 3600;
const RECOVERY_CODE_COUNT: usize = 10;
/// No letter or digit that looks like another.
const RECOVERY_ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
const RECOVERY_CODE_CHARS: usize = 16;

/// The result of checking a code. Not an error: a wrong code is counted in the transaction, which has to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The account has no second factor, or the code is right.
    Passed,
    /// The request has no code.
    Missing,
    /// The code is wrong, or was used before.
    Wrong,
    /// After too many wrong codes, the next one counts after so many seconds.
    Blocked(u32),
}

impl Checked {
    /// The response, once the transaction is committed.
    pub fn into_result(self) -> Result<(), Problem> {
        match self {
            Self::Passed => Ok(()),
            Self::Missing => Err(Problem::new(Code::SecondFactorNeeded)),
            Self::Wrong => Err(Problem::new(Code::WrongCode)),
            Self::Blocked(seconds) => Err(Problem::new(Code::TooManyCodes).retry_in(seconds)),
        }
    }
}

/// The kinds of codes that a check accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodeKinds {
    App,
    AppAndRecovery,
}

/// A secret for an authenticator app.
pub struct AppSecret {
    pub bytes: Secret<Vec<u8>>,
    pub base32: String,
    pub uri: String,
}

/// A new secret; the app shows the address.
pub fn generate(email: &str) -> Result<AppSecret, Problem> {
    let secret = random::<SECRET_BYTES>().to_vec();
    // A colon would end the account name in the URI.
    let name = email.replace(':', "_");
    let totp = totp(&secret).with_account_name(name).with_issuer(Some(ISSUER)).build().map_err(totp_problem)?;
    let uri = totp.to_url().map_err(totp_problem)?;
    let base32 = totp_rs::Secret::from(secret.clone()).to_base32();
    Ok(AppSecret { bytes: Secret::new(secret), base32, uri })
}

/// The keys of secrets and recovery codes, and the mailer that notifies owners of wrong codes.
pub struct SecondFactor {
    keys: Keyring,
    mailer: Mailer,
}

impl SecondFactor {
    pub fn new(keys: Keyring, mailer: Mailer) -> Self {
        Self { keys, mailer }
    }

    /// Begins an enrolment; `false` where the account has a second factor already.
    pub async fn enrol(&self, tx: &Tx, account: AccountId, secret: &AppSecret) -> Result<bool, Problem> {
        let key = self.keys.derive_for(account.0, KeyPurpose::TotpSecret);
        let sealed = envelope::seal(&key, account.0.as_bytes(), &secret.bytes);
        let id = i32::try_from(key.generation()).map_err(Problem::internal)?;
        Ok(store::totp::enrol(tx, account, id, &sealed).await?)
    }

    /// Checks the code where the account has a second factor.
    pub async fn check(&self, tx: &Tx, account: AccountId, code: Option<&str>) -> Result<Checked, Problem> {
        match store::totp::lock(tx, account).await? {
            Some(factor) if factor.confirmed_at.is_some() => match code {
                Some(code) => self.check_code(tx, &factor, code, CodeKinds::AppAndRecovery).await,
                None => Ok(Checked::Missing),
            },
            _ => Ok(Checked::Passed),
        }
    }

    /// Confirms an enrolment with a code from the app; `None` where there is no enrolment to confirm.
    pub async fn confirm(&self, tx: &Tx, account: AccountId, code: &str) -> Result<Option<Checked>, Problem> {
        match store::totp::lock(tx, account).await? {
            Some(factor) if factor.confirmed_at.is_none() => {
                self.check_code(tx, &factor, code, CodeKinds::App).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn check_code(&self, tx: &Tx, factor: &Model, code: &str, accepts: CodeKinds) -> Result<Checked, Problem> {
        let now = clock::now();
        let account = factor.account_id;
        let code = normalize(code);
        // Recovery codes cannot be guessed, so the owner of one need not wait because of another caller's wrong codes.
        let may_be_recovery = accepts == CodeKinds::AppAndRecovery && code.chars().count() == RECOVERY_CODE_CHARS;
        if may_be_recovery
            && store::totp::consume_recovery_code(tx, account, &self.recovery_hash(account, &code)).await?
        {
            store::totp::record_success(tx, account, None).await?;
            return Ok(Checked::Passed);
        }
        if let Some(seconds) = wait(factor.failures, factor.failed_at, now) {
            return Ok(Checked::Blocked(seconds));
        }
        if let Some(step) = self.unused_step(factor, &code, now)? {
            store::totp::record_success(tx, account, Some(step)).await?;
            return Ok(Checked::Passed);
        }
        store::totp::record_failure(tx, account).await?;
        if factor.failures + 1 == FREE_ATTEMPTS && factor.confirmed_at.is_some() {
            // Once, and not again before a code was right.
            if let Some(owner) = store::account::find(tx, account).await? {
                self.mailer.notify(tx, MailKind::CodesRefused, &owner.email).await?;
            }
        }
        Ok(Checked::Wrong)
    }

    /// The time step of this code, if neither its code nor a later one has been used.
    fn unused_step(&self, factor: &Model, code: &str, now: DateTime<Utc>) -> Result<Option<i64>, Problem> {
        let key = self.keys.derive_for(factor.account_id.0, KeyPurpose::TotpSecret);
        let secret = envelope::open(&key, factor.account_id.0.as_bytes(), &factor.secret).map_err(Problem::internal)?;
        let totp: Totp = totp(secret.expose()).build().map_err(totp_problem)?;
        let seconds = u64::try_from(now.timestamp()).map_err(Problem::internal)?;
        // The steps before and after count, too: clocks differ.
        let step = totp.check(code, seconds).and_then(|step| i64::try_from(step).ok());
        Ok(step.filter(|step| *step > factor.last_step))
    }

    /// Replaces the recovery codes by new ones.
    pub async fn renew_recovery_codes(&self, tx: &Tx, account: AccountId) -> Result<Vec<String>, Problem> {
        let codes: Vec<String> = (0..RECOVERY_CODE_COUNT).map(|_| recovery_code()).collect();
        let hashes: Vec<_> = codes.iter().map(|code| self.recovery_hash(account, &normalize(code))).collect();
        store::totp::replace_recovery_codes(tx, account, &hashes).await?;
        Ok(codes)
    }

    /// Keyed: 80 random bits need no slow hash then.
    fn recovery_hash(&self, account: AccountId, code: &str) -> [u8; 32] {
        self.keys.derive_for(account.0, KeyPurpose::RecoveryCode).mac(code.as_bytes())
    }
}

/// The seconds until the next code counts, if it has to wait.
fn wait(failures: i32, failed_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<u32> {
    let doublings = u32::try_from(failures.checked_sub(FREE_ATTEMPTS)?).ok()?;
    let total = FIRST_WAIT_SECONDS.checked_shl(doublings.min(32)).unwrap_or(MAX_WAIT_SECONDS).min(MAX_WAIT_SECONDS);
    let left = chrono::Duration::seconds(total) - (now - failed_at?);
    u32::try_from(left.num_milliseconds().max(0).cast_unsigned().div_ceil(1000)).ok().filter(|left| *left > 0)
}

fn totp(secret: &[u8]) -> Builder {
    Builder::new().with_secret(secret)
}

fn totp_problem(error: totp_rs::TotpError) -> Problem {
    Problem::internal(format!("the second factor is unusable: {error}"))
}

/// Sixteen characters in groups of four.
fn recovery_code() -> String {
    let characters = random::<RECOVERY_CODE_CHARS>().map(|byte| char::from(RECOVERY_ALPHABET[usize::from(byte % 32)]));
    characters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join("-")
}

/// A code as it was typed, in lower case and without hyphens and spaces.
fn normalize(code: &str) -> String {
    code.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enrolment_has_a_valid_otpauth_uri() {
        let enrolment = generate("a:da@example.org").unwrap();
        assert!(enrolment.uri.starts_with("otpauth://totp/Nvisy:a_da"), "{}", enrolment.uri);
        assert!(enrolment.uri.contains(&enrolment.base32), "{}", enrolment.uri);
        assert_eq!(enrolment.base32.len(), 32);
    }

    #[test]
    fn recovery_code_is_random_and_ignores_case_hyphens_and_spaces() {
        let code = recovery_code();
        assert_eq!(code.len(), 19);
        assert_eq!(normalize(&code).len(), RECOVERY_CODE_CHARS);
        assert_eq!(normalize(&code.to_uppercase().replace('-', " ")), code.replace('-', ""));
        assert_ne!(code, recovery_code());
    }

    #[test]
    fn fifth_wrong_code_starts_a_wait() {
        let now = clock::now();
        let ago = |seconds| Some(now - chrono::Duration::seconds(seconds));
        assert_eq!(wait(4, ago(0), now), None);
        assert_eq!(wait(5, ago(0), now), Some(60));
        assert_eq!(wait(5, ago(59), now), Some(1));
        assert_eq!(wait(5, ago(60), now), None);
    }

    #[test]
    fn each_wait_is_twice_the_one_before_up_to_a_day() {
        let now = clock::now();
        let waits: Vec<_> = (5..18).filter_map(|failures| wait(failures, Some(now), now)).collect();
        assert_eq!(waits[..4], [60, 120, 240, 480]);
        assert!(waits.is_sorted());
        assert_eq!(waits.last(), Some(&86_400));
        for failures in [40, 1000, i32::MAX] {
            assert_eq!(wait(failures, Some(now), now), Some(86_400));
        }
    }
}
