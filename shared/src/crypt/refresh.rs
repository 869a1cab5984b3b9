//! Refresh tokens: which session they continue, and that they are ours, shows without asking the database.
//!
//! ```text
//! secret = session (16 bytes) own (16 bytes) tag (16 bytes)
//! tag    = the first half of a keyed hash of session and own
//! ```
//!
//! So whatever strangers present costs no statement, and what is presented of a session can be counted. Each token gives
//! the next one, the same each time: whoever lost the answer gets it again, although only hashes are stored.

use orion::util::secure_cmp;

use super::{
    Key,
    opaque::{self, Kind},
    random,
};
use crate::{id::SessionId, secret::Secret};

/// Bytes of each of the three parts.
const PART: usize = 16;

/// One that we made.
#[derive(Debug)]
pub struct RefreshToken {
    session: SessionId,
    text: Secret<String>,
}

impl RefreshToken {
    /// The first of a session.
    #[must_use]
    pub fn first(key: &Key, session: SessionId) -> Self {
        Self::make(key, session, random())
    }

    /// What was presented, if we made it.
    #[must_use]
    pub fn read(key: &Key, text: Secret<String>) -> Option<Self> {
        let secret = hex::decode(opaque::secret(Kind::Refresh, text.expose())?).ok()?;
        let (named, tag) = secret.split_at_checked(2 * PART)?;
        secure_cmp(&half(key.mac(named)), tag).ok()?;
        let session = named.first_chunk().map(|id: &[u8; PART]| SessionId(uuid::Uuid::from_bytes(*id)))?;
        Some(Self { session, text })
    }

    /// The next one.
    #[must_use]
    pub fn successor(&self, key: &Key) -> Self {
        // Longer than what a tag is made of, so that neither tells anything of the other.
        Self::make(key, self.session, half(key.mac(self.text.expose().as_bytes())))
    }

    fn make(key: &Key, session: SessionId, own: [u8; PART]) -> Self {
        let named = [session.0.into_bytes(), own].concat();
        let text = opaque::write(Kind::Refresh, &[named.as_slice(), &half(key.mac(&named))].concat());
        Self { session, text }
    }

    /// Which session it continues, if that still lasts.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// As it is shown to its client.
    #[must_use]
    pub const fn text(&self) -> &Secret<String> {
        &self.text
    }

    /// What is stored of it, and looked up.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        opaque::hash(Kind::Refresh, self.text.expose()).expect("a token of ours has the form of one")
    }
}

fn half(hash: [u8; 32]) -> [u8; PART] {
    std::array::from_fn(|place| hash[place])
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::crypt::{Keyring, MasterKey, Purpose};

    fn key() -> Key {
        Keyring::new(MasterKey::generate()).derive_for(Uuid::nil(), Purpose::Refresh)
    }

    #[test]
    fn tokens_name_their_session_and_follow_one_another() {
        let (key, session) = (key(), SessionId::new());
        let first = RefreshToken::first(&key, session);
        assert_ne!(first.hash(), RefreshToken::first(&key, session).hash());
        let read = RefreshToken::read(&key, first.text().clone()).unwrap();
        assert_eq!((read.session(), read.hash()), (session, first.hash()));
        let next = read.successor(&key);
        assert_eq!(next.hash(), first.successor(&key).hash());
        assert_eq!(RefreshToken::read(&key, next.text().clone()).unwrap().session(), session);
        assert_ne!(next.successor(&key).hash(), next.hash());
    }

    #[test]
    fn what_others_made_is_none() {
        let (key, other) = (key(), self::key());
        let token = RefreshToken::first(&other, SessionId::new());
        assert!(RefreshToken::read(&key, token.text().clone()).is_none());
        assert!(RefreshToken::read(&key, opaque::generate(Kind::Refresh)).is_none());
        assert!(RefreshToken::read(&key, opaque::generate(Kind::Api)).is_none());
        // Another session in a token of ours, and any other change that keeps the checksum right.
        let token = RefreshToken::first(&key, SessionId::new());
        let secret = hex::decode(opaque::secret(Kind::Refresh, token.text().expose()).unwrap()).unwrap();
        for place in 0..secret.len() {
            let mut changed = secret.clone();
            changed[place] ^= 1;
            assert!(RefreshToken::read(&key, opaque::write(Kind::Refresh, &changed)).is_none(), "{place}");
        }
    }
}
