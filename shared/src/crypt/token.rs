//! Tokens: bearer secrets of which only a hash is stored.
//!
//! ```text
//! token = prefix secret checksum      nvisy_ 64 hex digits 8 hex digits
//! ```
//!
//! The prefix lets people and secret scanners recognise a token; the checksum (CRC-32 of everything before it) rejects
//! malformed tokens without a database query.

use sha2::{Digest, Sha256};

use super::random;
use crate::secret::Secret;

/// Hex digits of the checksum.
const CHECKSUM_DIGITS: usize = 8;

/// The use of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Authenticates API calls of programs.
    Api,
    /// Continues a session.
    Refresh,
    /// A link in a mail.
    Mail,
}

impl TokenKind {
    /// The text that each token of this kind begins with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Api => "nvisy_",
            Self::Refresh => "nvisy_refresh_",
            Self::Mail => "nvisy_mail_",
        }
    }

    /// Length of the secret.
    const fn secret_bytes(self) -> usize {
        match self {
            Self::Api | Self::Mail => 32,
            // See [`super::refresh`] for its parts.
            Self::Refresh => 48,
        }
    }
}

/// A token with a random secret.
#[must_use]
pub fn generate(kind: TokenKind) -> Secret<String> {
    let secret: [u8; 64] = random();
    encode(kind, &secret[..kind.secret_bytes()])
}

/// The token with this secret, which must have the length that the kind requires.
#[must_use]
pub fn encode(kind: TokenKind, secret: &[u8]) -> Secret<String> {
    let body = format!("{}{}", kind.prefix(), hex::encode(secret));
    let checksum = crc32fast::hash(body.as_bytes());
    Secret::new(format!("{body}{checksum:08x}"))
}

/// The hash under which a token is stored and looked up. `None`: the text is not a token of this kind.
#[must_use]
pub fn hash(kind: TokenKind, token: &str) -> Option<[u8; 32]> {
    secret(kind, token).map(|_| Sha256::digest(token.as_bytes()).into())
}

/// The hex digits of the token's secret. `None`: the text is not a token of this kind.
#[must_use]
pub fn secret(kind: TokenKind, token: &str) -> Option<&str> {
    let digits = token.strip_prefix(kind.prefix())?;
    if digits.len() != 2 * kind.secret_bytes() + CHECKSUM_DIGITS
        || !digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    {
        return None;
    }
    let (body, checksum) = token.split_at(token.len() - CHECKSUM_DIGITS);
    let valid = u32::from_str_radix(checksum, 16).is_ok_and(|checksum| checksum == crc32fast::hash(body.as_bytes()));
    valid.then(|| &body[kind.prefix().len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unique_and_stored_by_hash() {
        let token = generate(TokenKind::Api);
        assert_eq!(hash(TokenKind::Api, token.expose()), Some(Sha256::digest(token.expose().as_bytes()).into()));
        assert_ne!(token.expose(), generate(TokenKind::Api).expose());
        assert_eq!(encode(TokenKind::Api, &[7; 32]).expose(), encode(TokenKind::Api, &[7; 32]).expose());
    }

    #[test]
    fn malformed_tokens_are_rejected() {
        let token = generate(TokenKind::Refresh);
        assert!(hash(TokenKind::Refresh, token.expose()).is_some());
        assert!(hash(TokenKind::Api, token.expose()).is_none());
        assert!(hash(TokenKind::Refresh, &token.expose().to_uppercase()).is_none());
        assert!(hash(TokenKind::Refresh, &format!("{}0", token.expose())).is_none());
        assert!(hash(TokenKind::Refresh, "").is_none());
        assert!(hash(TokenKind::Refresh, "nvisy_refresh_\u{e4}").is_none());
        for index in TokenKind::Refresh.prefix().len()..token.expose().len() {
            let mut changed = token.expose().clone().into_bytes();
            changed[index] = if changed[index] == b'0' { b'1' } else { b'0' };
            assert!(hash(TokenKind::Refresh, &String::from_utf8(changed).unwrap()).is_none(), "{index}");
        }
    }
}
