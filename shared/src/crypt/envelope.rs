//! Small secrets at rest: sealed under a derived key and bound to their owner.
//!
//! ```text
//! sealed = nonce (24 bytes) ciphertext tag (16 bytes)        XChaCha20-Poly1305
//! ```

use orion::hazardous::aead::xchacha20poly1305::{Nonce, XChaCha20Poly1305};

use super::{DerivedKey, random};
use crate::secret::Secret;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// The sealed bytes were changed, belong to another owner, or were sealed under another key.
#[derive(Debug, thiserror::Error)]
#[error("the sealed secret does not open")]
pub struct UnsealError;

/// Seals a secret that belongs to `owner`.
#[must_use]
pub fn seal(key: &DerivedKey, owner: &[u8], secret: &Secret<Vec<u8>>) -> Vec<u8> {
    let nonce: [u8; NONCE_BYTES] = random();
    let mut sealed = nonce.to_vec();
    sealed.resize(NONCE_BYTES + secret.expose().len() + TAG_BYTES, 0);
    let nonce = Nonce::from(nonce);
    XChaCha20Poly1305::seal(key.secret(), &nonce, secret.expose(), Some(owner), &mut sealed[NONCE_BYTES..])
        .expect("the secret is small, and the buffer holds it and the tag");
    sealed
}

/// Opens a secret that [`seal`] sealed for the same owner.
///
/// # Errors
/// [`UnsealError`].
pub fn open(key: &DerivedKey, owner: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, UnsealError> {
    let (nonce, content) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(UnsealError)?;
    let mut secret = vec![0; content.len().checked_sub(TAG_BYTES).ok_or(UnsealError)?];
    XChaCha20Poly1305::open(key.secret(), &Nonce::from(*nonce), content, Some(owner), &mut secret)
        .map_err(|_| UnsealError)?;
    Ok(Secret::new(secret))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::crypt::{KeyPurpose, Keyring, MasterKey};

    #[test]
    fn secret_opens_only_for_its_owner_and_key() {
        let keyring = Keyring::new(MasterKey::generate());
        let key = |owner| keyring.derive_for(Uuid::from_u128(owner), KeyPurpose::TotpSecret);
        let sealed = seal(&key(1), b"one", &Secret::new(b"secret".to_vec()));
        assert_eq!(open(&key(1), b"one", &sealed).unwrap().expose(), b"secret");
        assert!(open(&key(1), b"two", &sealed).is_err());
        assert!(open(&key(2), b"one", &sealed).is_err());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(open(&key(1), b"one", &changed).is_err(), "{index}");
            assert!(open(&key(1), b"one", &sealed[..index]).is_err(), "{index}");
        }
        assert_ne!(sealed, seal(&key(1), b"one", &Secret::new(b"secret".to_vec())));
    }
}
