//! The second factor: time-based codes (RFC 6238) and recovery codes.

use chrono::{DateTime, Utc};
use nvisy_shared::{
    clock,
    crypt::{KeyPurpose, envelope, random},
    domain::mail::MailKind,
    id::AccountId,
    secret::Secret,
    store::{self, Tx},
};
use totp_rs::{Builder, Totp};

use crate::{
    identity::mail_links,
    problem::{Code, Problem},
    state::State,
};

/// Bytes of a secret, as RFC 4226 recommends.
const SECRET: usize = 20;
/// Who the codes are for, in the person's app.
const ISSUER: &str = "Nvisy";
/// Wrong codes in a row, after which each further one has to wait: a million codes are not tried at leisure.
const TRIES: i32 = 5;
/// The first wait, in seconds; each is twice as long as the one before.
const WAIT: i64 = 60;
/// The longest: one code a day is guessed in three thousand years.
const LONGEST_WAIT: i64 = 24 * 3600;
/// How many recovery codes there are.
const RECOVERY_CODES: usize = 10;
/// Letters of recovery codes: none that is taken for another.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
/// Letters of one.
const RECOVERY_LETTERS: usize = 16;

/// What came of a code. Not an error: a wrong code is written down, so the transaction goes on to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// There is no second factor, or the code is right.
    Passed,
    /// A code is wanted.
    Missing,
    /// This is none, or was used before.
    Wrong,
    /// There were too many wrong ones: the next counts after so many seconds.
    Blocked(u32),
}

impl Checked {
    /// What to answer, once the transaction is committed.
    pub fn verdict(self) -> Result<(), Problem> {
        match self {
            Self::Passed => Ok(()),
            Self::Missing => Err(Problem::new(Code::SecondFactorNeeded)),
            Self::Wrong => Err(Problem::new(Code::FactorRefused)),
            Self::Blocked(seconds) => Err(Problem::new(Code::TooManyCodes).retry_in(seconds)),
        }
    }
}

/// A secret for an app.
pub struct Enrolment {
    pub secret: Secret<Vec<u8>>,
    pub base32: String,
    pub uri: String,
}

/// A new secret of a person with this address.
pub fn generate(email: &str) -> Result<Enrolment, Problem> {
    let secret = random::<SECRET>().to_vec();
    // A colon would end the name in the URI.
    let name = email.replace(':', "_");
    let totp = totp(&secret).with_account_name(name).with_issuer(Some(ISSUER)).build().map_err(broken)?;
    let uri = totp.to_url().map_err(broken)?;
    let base32 = totp_rs::Secret::from(secret.clone()).to_base32();
    Ok(Enrolment { secret: Secret::new(secret), base32, uri })
}

/// Begins an enrolment. `false`: a second factor is there.
pub async fn enrol(state: &State, tx: &Tx, account: AccountId, enrolment: &Enrolment) -> Result<bool, Problem> {
    let key = state.platform.keys.derive_for(account.0, KeyPurpose::TotpSecret);
    let sealed = envelope::seal(&key, account.0.as_bytes(), &enrolment.secret);
    let id = i32::try_from(key.generation()).map_err(Problem::internal)?;
    Ok(store::totp::enrol(tx, account, id, &sealed).await?)
}

/// Asks for a code where there is a second factor.
pub async fn check(state: &State, tx: &Tx, account: AccountId, code: Option<&str>) -> Result<Checked, Problem> {
    match store::totp::lock(tx, account).await? {
        Some(factor) if factor.confirmed_at.is_some() => try_code(state, tx, &factor, code, true).await,
        _ => Ok(Checked::Passed),
    }
}

/// Confirms an enrolment with a code from the app. `None`: there is no enrolment to confirm.
pub async fn confirm(state: &State, tx: &Tx, account: AccountId, code: &str) -> Result<Option<Checked>, Problem> {
    match store::totp::lock(tx, account).await? {
        Some(factor) if factor.confirmed_at.is_none() => {
            try_code(state, tx, &factor, Some(code), false).await.map(Some)
        }
        _ => Ok(None),
    }
}

async fn try_code(
    state: &State,
    tx: &Tx,
    factor: &nvisy_shared::entity::totp::Model,
    code: Option<&str>,
    recovery: bool,
) -> Result<Checked, Problem> {
    let now = clock::now();
    let Some(code) = code else { return Ok(Checked::Missing) };
    let account = factor.account_id;
    let code = plain(code);
    // Nobody guesses those: whoever has one need not wait because somebody else tries codes.
    let recovery = recovery && code.chars().count() == RECOVERY_LETTERS;
    if recovery && take_recovery_code(state, tx, account, &code).await? {
        store::totp::accept(tx, account, None).await?;
        return Ok(Checked::Passed);
    }
    if let Some(seconds) = wait(factor.failures, factor.failed_at, now) {
        return Ok(Checked::Blocked(seconds));
    }
    if let Some(step) = step(state, factor, &code, now)? {
        store::totp::accept(tx, account, Some(step)).await?;
        return Ok(Checked::Passed);
    }
    store::totp::refuse(tx, account).await?;
    if factor.failures + 1 == TRIES && factor.confirmed_at.is_some() {
        // Once, and not again before a code was right.
        if let Some(owner) = store::account::find(tx, account).await? {
            mail_links::service::notify(state, tx, MailKind::CodesRefused, &owner.email).await?;
        }
    }
    Ok(Checked::Wrong)
}

/// How many seconds the next code has to wait, if it has to.
fn wait(failures: i32, failed_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<u32> {
    let doublings = u32::try_from(failures.checked_sub(TRIES)?).ok()?;
    let whole = WAIT.checked_shl(doublings.min(32)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
    let left = chrono::Duration::seconds(whole) - (now - failed_at?);
    u32::try_from(left.num_milliseconds().max(0).cast_unsigned().div_ceil(1000)).ok().filter(|left| *left > 0)
}

/// The step whose code this is, if no code of it or of a later one has been used.
fn step(
    state: &State,
    factor: &nvisy_shared::entity::totp::Model,
    code: &str,
    now: DateTime<Utc>,
) -> Result<Option<i64>, Problem> {
    let key = state.platform.keys.derive_for(factor.account_id.0, KeyPurpose::TotpSecret);
    let secret = envelope::open(&key, factor.account_id.0.as_bytes(), &factor.secret).map_err(Problem::internal)?;
    let totp: Totp = totp(secret.expose()).build().map_err(broken)?;
    let seconds = u64::try_from(now.timestamp()).map_err(Problem::internal)?;
    // The one step before and the one after count, too: clocks differ.
    let step = totp.check(code, seconds).and_then(|step| i64::try_from(step).ok());
    Ok(step.filter(|step| *step > factor.last_step))
}

fn totp(secret: &[u8]) -> Builder {
    Builder::new().with_secret(secret)
}

fn broken(error: totp_rs::TotpError) -> Problem {
    Problem::internal(format!("the second factor cannot be used: {error}"))
}

/// New recovery codes in the place of the old ones.
pub async fn renew_recovery_codes(state: &State, tx: &Tx, account: AccountId) -> Result<Vec<String>, Problem> {
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
    let hashes: Vec<_> = codes.iter().map(|code| hash(state, account, &plain(code))).collect();
    store::totp::replace_recovery_codes(tx, account, &hashes).await?;
    Ok(codes)
}

async fn take_recovery_code(state: &State, tx: &Tx, account: AccountId, code: &str) -> Result<bool, Problem> {
    Ok(store::totp::take_recovery_code(tx, account, &hash(state, account, code)).await?)
}

/// Under a key: 80 random bits need no slow hash then.
fn hash(state: &State, account: AccountId, code: &str) -> [u8; 32] {
    state.platform.keys.derive_for(account.0, KeyPurpose::RecoveryCode).mac(code.as_bytes())
}

/// Sixteen letters, in fours.
fn recovery_code() -> String {
    let letters = random::<RECOVERY_LETTERS>().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    letters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join("-")
}

/// A code as people write it, without what only helps to read it.
fn plain(code: &str) -> String {
    code.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enrolment_fits_an_app() {
        let enrolment = generate("a:da@example.org").unwrap();
        assert!(enrolment.uri.starts_with("otpauth://totp/Nvisy:a_da"), "{}", enrolment.uri);
        assert!(enrolment.uri.contains(&enrolment.base32), "{}", enrolment.uri);
        assert_eq!(enrolment.base32.len(), 32);
    }

    #[test]
    fn recovery_codes_are_easy_to_copy_and_hard_to_guess() {
        let code = recovery_code();
        assert_eq!(code.len(), 19);
        assert_eq!(plain(&code).len(), RECOVERY_LETTERS);
        assert_eq!(plain(&code.to_uppercase().replace('-', " ")), code.replace('-', ""));
        assert_ne!(code, recovery_code());
    }

    #[test]
    fn after_five_wrong_codes_there_is_a_wait() {
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
