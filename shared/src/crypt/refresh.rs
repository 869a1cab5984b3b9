//! Refresh tokens: each names its session and carries a MAC, so that both are verified without a database query.
//!
//! ```text
//! secret = session id (16 bytes) nonce (16 bytes) tag (16 bytes)
//! tag    = the first half of a keyed hash of session id and nonce
//! ```
//!
//! Forged tokens therefore cost no statement, and attempts to refresh a session can be counted. A token determines its
//! successor: a client that lost the response gets the same successor again, although only hashes are stored.

use orion::util::secure_cmp;

use super::{
    DerivedKey, random,
    token::{self, TokenKind},
};
use crate::{id::SessionId, secret::Secret};

/// Bytes of each of the three parts.
const PART_BYTES: usize = 16;

/// A refresh token with a valid MAC.
#[derive(Debug)]
pub struct RefreshToken {
    session: SessionId,
    text: Secret<String>,
}

impl RefreshToken {
    /// The first token of a session.
    #[must_use]
    pub fn first(key: &DerivedKey, session: SessionId) -> Self {
        Self::build(key, session, random())
    }

    /// Parses a token. `None`: the text is not a token, or its MAC is wrong.
    #[must_use]
    pub fn parse(key: &DerivedKey, text: Secret<String>) -> Option<Self> {
        let secret = hex::decode(token::secret(TokenKind::Refresh, text.expose())?).ok()?;
        let (payload, tag) = secret.split_at_checked(2 * PART_BYTES)?;
        secure_cmp(&half(key.mac(payload)), tag).ok()?;
        let session = payload.first_chunk().map(|id: &[u8; PART_BYTES]| SessionId(uuid::Uuid::from_bytes(*id)))?;
        Some(Self { session, text })
    }

    /// The token that follows this one.
    #[must_use]
    pub fn successor(&self, key: &DerivedKey) -> Self {
        // The whole token is longer than the input of a tag, so no nonce equals a tag.
        Self::build(key, self.session, half(key.mac(self.text.expose().as_bytes())))
    }

    fn build(key: &DerivedKey, session: SessionId, nonce: [u8; PART_BYTES]) -> Self {
        let payload = [session.0.into_bytes(), nonce].concat();
        let text = token::encode(TokenKind::Refresh, &[payload.as_slice(), &half(key.mac(&payload))].concat());
        Self { session, text }
    }

    /// The session that the token continues; it may have ended.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// The token as the client gets it.
    #[must_use]
    pub const fn text(&self) -> &Secret<String> {
        &self.text
    }

    /// The hash under which the token is stored and looked up.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        token::hash(TokenKind::Refresh, self.text.expose()).expect("a built token is well-formed")
    }
}

fn half(hash: [u8; 32]) -> [u8; PART_BYTES] {
    std::array::from_fn(|index| hash[index])
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::crypt::{KeyPurpose, Keyring, MasterKey};

    fn key() -> DerivedKey {
        Keyring::new(MasterKey::generate()).derive_for(Uuid::nil(), KeyPurpose::RefreshToken)
    }

    #[test]
    fn token_carries_its_session_and_determines_its_successor() {
        let (key, session) = (key(), SessionId::new());
        let first = RefreshToken::first(&key, session);
        assert_ne!(first.hash(), RefreshToken::first(&key, session).hash());
        let parsed = RefreshToken::parse(&key, first.text().clone()).unwrap();
        assert_eq!((parsed.session(), parsed.hash()), (session, first.hash()));
        let next = parsed.successor(&key);
        assert_eq!(next.hash(), first.successor(&key).hash());
        assert_eq!(RefreshToken::parse(&key, next.text().clone()).unwrap().session(), session);
        assert_ne!(next.successor(&key).hash(), next.hash());
    }

    #[test]
    fn forged_tokens_are_rejected() {
        let (key, other) = (key(), self::key());
        let token = RefreshToken::first(&other, SessionId::new());
        assert!(RefreshToken::parse(&key, token.text().clone()).is_none());
        assert!(RefreshToken::parse(&key, token::generate(TokenKind::Refresh)).is_none());
        assert!(RefreshToken::parse(&key, token::generate(TokenKind::Api)).is_none());
        // Any changed byte of the secret, including the session id, under a valid checksum.
        let token = RefreshToken::first(&key, SessionId::new());
        let secret = hex::decode(token::secret(TokenKind::Refresh, token.text().expose()).unwrap()).unwrap();
        for index in 0..secret.len() {
            let mut changed = secret.clone();
            changed[index] ^= 1;
            assert!(RefreshToken::parse(&key, token::encode(TokenKind::Refresh, &changed)).is_none(), "{index}");
        }
    }
}
