//! Access tokens: Ed25519-signed JWTs that name an account and a session, and expire soon.

use std::{collections::HashSet, fs, io, path::PathBuf};

use jwt_simple::prelude::*;
use nvisy_shared::{
    clock, config,
    id::{AccountId, SessionId},
};
use uuid::Uuid;

use super::jwt_cache::{self, JwtCache};

/// Tokens that the same keys signed for another service are rejected.
const AUDIENCE: &str = "nvisy-api";
/// How far ahead the clock of the replica that signed a token may be.
const MAX_CLOCK_SKEW_SECONDS: u64 = 60;

/// Why the signing keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum KeyError {
    #[error(
        "{0} cannot be read: NVISY_AUTH_PRIVATE_KEY_FILE and NVISY_AUTH_PUBLIC_KEY_FILE name the signing keys, and `nvisy-api keys` makes them"
    )]
    Unreadable(PathBuf, #[source] io::Error),
    #[error(
        "{0} is not an Ed25519 key in PEM, as `nvisy-api keys` makes it (NVISY_AUTH_PRIVATE_KEY_FILE, NVISY_AUTH_PUBLIC_KEY_FILE)"
    )]
    Invalid(PathBuf),
    #[error(
        "{0} is not the public key of {1}: let NVISY_AUTH_PUBLIC_KEY_FILE name that, or remove the file and run `nvisy-api keys`, which makes it anew"
    )]
    Mismatch(PathBuf, PathBuf),
    #[error(
        "the signing key {0} does not belong to this database: let NVISY_AUTH_PRIVATE_KEY_FILE name the key of the \
         database, or run `nvisy-api adopt-signing-keys` to sign with this one from now on, which makes all access \
         tokens invalid"
    )]
    Foreign(PathBuf),
}

/// The keys that sign and verify.
pub struct SigningKeys {
    private: Ed25519KeyPair,
    public: Ed25519PublicKey,
    /// The fingerprint of the public key, which is a token's `kid`.
    id: String,
    issuer: String,
    lifetime_seconds: u64,
    file: PathBuf,
    cache: JwtCache,
}

/// The claims of a token beside the registered ones.
#[derive(Serialize, Deserialize)]
struct SessionClaim {
    sid: Uuid,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeys").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SigningKeys {
    /// Reads the pair from the configured files.
    pub fn load(auth: &config::AuthConfig) -> Result<Self, KeyError> {
        let read = |path: &PathBuf| fs::read_to_string(path).map_err(|error| KeyError::Unreadable(path.clone(), error));
        let invalid = |path: &PathBuf| KeyError::Invalid(path.clone());
        let (private_file, public_file) = (&auth.private_key_file, &auth.public_key_file);
        let private = Ed25519KeyPair::from_pem(&read(private_file)?).map_err(|_| invalid(private_file))?;
        let public = Ed25519PublicKey::from_pem(&read(public_file)?).map_err(|_| invalid(public_file))?;
        if private.public_key().to_bytes() != public.to_bytes() {
            return Err(KeyError::Mismatch(public_file.clone(), private_file.clone()));
        }
        let id = public.jwk_thumbprint();
        Ok(Self {
            private: private.with_key_id(&id),
            public,
            id,
            issuer: auth.issuer.clone(),
            lifetime_seconds: auth.token_seconds,
            file: private_file.clone(),
            cache: JwtCache::new(),
        })
    }

    /// The fingerprint of the pair.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The error where the database was started with another pair.
    pub fn foreign(&self) -> KeyError {
        KeyError::Foreign(self.file.clone())
    }

    /// A token for this session of an account, and its lifetime in seconds.
    pub fn issue(&self, account: AccountId, session: SessionId) -> Result<(String, u64), jwt_simple::Error> {
        let life = Duration::from_secs(self.lifetime_seconds);
        let mut claims = Claims::with_custom_claims(SessionClaim { sid: session.0 }, life)
            .with_issuer(&self.issuer)
            .with_audience(AUDIENCE)
            .with_subject(account.to_string());
        claims.issued_at = Some(now());
        claims.invalid_before = None;
        claims.expires_at = Some(now() + life);
        Ok((self.private.sign(claims)?, self.lifetime_seconds))
    }

    /// The claims of a token. `None` for a token that these keys did not sign for this deployment, that has expired, or that
    /// is not valid yet.
    pub fn verify(&self, token: &str) -> Option<jwt_cache::Claims> {
        self.verify_at(token, now())
    }

    fn verify_at(&self, token: &str, now: UnixTimeStamp) -> Option<jwt_cache::Claims> {
        let claims = self.cache.get_or_verify(token, || self.verify_signature(token, now))?;
        let current =
            claims.not_before <= now + Duration::from_secs(MAX_CLOCK_SKEW_SECONDS) && now <= claims.expires_at;
        current.then_some(claims)
    }

    fn verify_signature(&self, token: &str, now: UnixTimeStamp) -> Option<jwt_cache::Claims> {
        let options = VerificationOptions {
            allowed_issuers: Some(HashSet::from([self.issuer.clone()])),
            allowed_audiences: Some(HashSet::from([AUDIENCE.to_owned()])),
            required_key_id: Some(self.id.clone()),
            // The default tolerates a quarter of an hour, which would extend every token's lifetime.
            time_tolerance: None,
            // The library has one tolerance for past and future; `verify_at` checks the future itself.
            accept_future: true,
            artificial_time: Some(now),
            ..VerificationOptions::default()
        };
        let claims = self.public.verify_token::<SessionClaim>(token, Some(options)).ok()?;
        let issued = claims.issued_at?;
        Some(jwt_cache::Claims {
            account: AccountId(claims.subject?.parse().ok()?),
            session: SessionId(claims.custom.sid),
            not_before: claims.invalid_before.map_or(issued, |from| from.max(issued)),
            expires_at: claims.expires_at?,
        })
    }
}

fn now() -> UnixTimeStamp {
    UnixTimeStamp::from_secs(clock::now().timestamp().try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(folder: &std::path::Path) -> SigningKeys {
        let pair = Ed25519KeyPair::generate();
        fs::write(folder.join("private.pem"), pair.to_pem()).unwrap();
        fs::write(folder.join("public.pem"), pair.public_key().to_pem()).unwrap();
        let auth = config::AuthConfig {
            private_key_file: folder.join("private.pem"),
            public_key_file: folder.join("public.pem"),
            issuer: "nvisy".to_owned(),
            token_seconds: 600,
            session_seconds: 0,
            session_longest_seconds: 0,
            erase_seconds: 0,
            hashes: 1,
            hash_mebibytes: 12,
            sign_up: None,
        };
        SigningKeys::load(&auth).unwrap()
    }

    #[test]
    fn cached_token_is_still_checked_against_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        let keys = load(folder.path());
        let (account, session) = (AccountId::new(), SessionId::new());
        let (token, seconds) = keys.issue(account, session).unwrap();
        let issued = now();
        let verify_at = |token: &str, now| keys.verify_at(token, now).map(|claims| (claims.account, claims.session));
        for is_cached in [false, true] {
            assert_eq!(verify_at(&token, issued), Some((account, session)), "cached: {is_cached}");
        }
        assert_eq!(verify_at(&token, issued + Duration::from_secs(seconds + 2)), None);
        assert_eq!(verify_at(&token, issued - Duration::from_secs(MAX_CLOCK_SKEW_SECONDS + 2)), None);
        // The same token is valid again within its lifetime.
        assert_eq!(verify_at(&token, issued), Some((account, session)));
        assert_eq!(verify_at(&token[..token.len() - 1], issued), None);
    }
}
