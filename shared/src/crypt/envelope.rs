//! Small secrets at rest: sealed under a derived key, bound to what they belong to.
//!
//! ```text
//! sealed = nonce (24 bytes) ciphertext tag (16 bytes)        XChaCha20-Poly1305
//! ```

use orion::hazardous::aead::xchacha20poly1305::{Nonce, XChaCha20Poly1305};

use super::{Key, random};
use crate::secret::Secret;

const NONCE: usize = 24;
const TAG: usize = 16;

/// It was changed, belongs to something else, or was sealed under another key.
#[derive(Debug, thiserror::Error)]
#[error("the sealed secret does not open")]
pub struct NotSealed;

/// Seals a secret that belongs to `owner`.
#[must_use]
pub fn seal(key: &Key, owner: &[u8], secret: &Secret<Vec<u8>>) -> Vec<u8> {
    let nonce: [u8; NONCE] = random();
    let mut sealed = nonce.to_vec();
    sealed.resize(NONCE + secret.expose().len() + TAG, 0);
    let nonce = Nonce::from(nonce);
    XChaCha20Poly1305::seal(key.secret(), &nonce, secret.expose(), Some(owner), &mut sealed[NONCE..])
        .expect("a small secret, and room for it and the tag");
    sealed
}

/// Opens what [`seal`] made for the same owner.
///
/// # Errors
/// [`NotSealed`].
pub fn open(key: &Key, owner: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, NotSealed> {
    let (nonce, content) = sealed.split_first_chunk::<NONCE>().ok_or(NotSealed)?;
    let mut secret = vec![0; content.len().checked_sub(TAG).ok_or(NotSealed)?];
    XChaCha20Poly1305::open(key.secret(), &Nonce::from(*nonce), content, Some(owner), &mut secret)
        .map_err(|_| NotSealed)?;
    Ok(Secret::new(secret))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::crypt::{Keyring, MasterKey, Purpose};

    #[test]
    fn a_secret_opens_for_its_owner_under_its_key_only() {
        let keyring = Keyring::new(MasterKey::generate());
        let key = |owner| keyring.derive_for(Uuid::from_u128(owner), Purpose::Totp);
        let sealed = seal(&key(1), b"one", &Secret::new(b"secret".to_vec()));
        assert_eq!(open(&key(1), b"one", &sealed).unwrap().expose(), b"secret");
        assert!(open(&key(1), b"two", &sealed).is_err());
        assert!(open(&key(2), b"one", &sealed).is_err());
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(open(&key(1), b"one", &changed).is_err(), "{place}");
            assert!(open(&key(1), b"one", &sealed[..place]).is_err(), "{place}");
        }
        assert_ne!(sealed, seal(&key(1), b"one", &Secret::new(b"secret".to_vec())));
    }
}
