//! Opaque tokens: secrets that are stored only as a hash.
//!
//! ```text
//! token = prefix secret checksum      nvisy_ 64 hex digits 8 hex digits
//! ```
//!
//! The prefix says to people and to scanners of source code what was found; the checksum (CRC-32 of all before it) tells
//! a token from something that looks like one, without asking the database.

use sha2::{Digest, Sha256};

use super::random;
use crate::secret::Secret;

/// Hex digits of the checksum.
const CHECKSUM: usize = 8;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Calls of the API by programs.
    Api,
    /// Continuing a session.
    Refresh,
    /// A link in a mail.
    Mail,
}

impl Kind {
    /// Its first letters.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Api => "nvisy_",
            Self::Refresh => "nvisy_refresh_",
            Self::Mail => "nvisy_mail_",
        }
    }

    /// Bytes of its secret.
    const fn bytes(self) -> usize {
        match self {
            Self::Api | Self::Mail => 32,
            // What is in them says [`super::refresh`].
            Self::Refresh => 48,
        }
    }
}

/// A token of random bytes.
#[must_use]
pub fn generate(kind: Kind) -> Secret<String> {
    let secret: [u8; 64] = random();
    write(kind, &secret[..kind.bytes()])
}

/// The token with this secret, which has as many bytes as the kind wants.
#[must_use]
pub fn write(kind: Kind, secret: &[u8]) -> Secret<String> {
    let body = format!("{}{}", kind.prefix(), hex::encode(secret));
    let checksum = crc32fast::hash(body.as_bytes());
    Secret::new(format!("{body}{checksum:08x}"))
}

/// What is stored of a token, and looked up. `None`: this is not a token of that kind.
#[must_use]
pub fn hash(kind: Kind, token: &str) -> Option<[u8; 32]> {
    secret(kind, token).map(|_| Sha256::digest(token.as_bytes()).into())
}

/// The hex digits of its secret. `None`: this is not a token of that kind.
#[must_use]
pub fn secret(kind: Kind, token: &str) -> Option<&str> {
    let digits = token.strip_prefix(kind.prefix())?;
    if digits.len() != 2 * kind.bytes() + CHECKSUM
        || !digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    {
        return None;
    }
    let (body, checksum) = token.split_at(token.len() - CHECKSUM);
    let fits = u32::from_str_radix(checksum, 16).is_ok_and(|checksum| checksum == crc32fast::hash(body.as_bytes()));
    fits.then(|| &body[kind.prefix().len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_and_no_two_are_the_same() {
        let token = generate(Kind::Api);
        assert_eq!(hash(Kind::Api, token.expose()), Some(Sha256::digest(token.expose().as_bytes()).into()));
        assert_ne!(token.expose(), generate(Kind::Api).expose());
        assert_eq!(write(Kind::Api, &[7; 32]).expose(), write(Kind::Api, &[7; 32]).expose());
    }

    #[test]
    fn what_is_not_quite_a_token_is_none() {
        let token = generate(Kind::Refresh);
        assert!(hash(Kind::Refresh, token.expose()).is_some());
        assert!(hash(Kind::Api, token.expose()).is_none());
        assert!(hash(Kind::Refresh, &token.expose().to_uppercase()).is_none());
        assert!(hash(Kind::Refresh, &format!("{}0", token.expose())).is_none());
        assert!(hash(Kind::Refresh, "").is_none());
        assert!(hash(Kind::Refresh, "nvisy_refresh_\u{e4}").is_none());
        for place in Kind::Refresh.prefix().len()..token.expose().len() {
            let mut changed = token.expose().clone().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            assert!(hash(Kind::Refresh, &String::from_utf8(changed).unwrap()).is_none(), "{place}");
        }
    }
}
