//! Seals of chained entries: a keyed hash over an entry and the seal before it.
//!
//! The key is derived from the master key, which the database never sees: whoever can rewrite rows, even all of them,
//! cannot make seals that fit.

use orion::hazardous::mac::hmac::sha256::{HmacSha256, SecretKey};

use uuid::Uuid;

use super::{Key, Keyring, Purpose};
use crate::id::WorkspaceId;

/// Bytes of a seal.
pub const SEAL_BYTES: usize = 32;

/// A seal; all zeros before the first entry of a chain.
pub type Seal = [u8; SEAL_BYTES];

/// Seals the entries of every chain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Seals(Keyring);

/// Seals the entries of one chain.
#[derive(Debug)]
pub struct ChainSeals(SecretKey);

impl Seals {
    /// Seals under keys of this keyring.
    #[must_use]
    pub const fn new(keyring: Keyring) -> Self {
        Self(keyring)
    }

    /// For the chain of a workspace; the nil id is the chain of what concerns accounts.
    #[must_use]
    pub fn of(&self, chain: WorkspaceId) -> ChainSeals {
        let key = self.0.derive(chain, Purpose::Activity);
        let key = SecretKey::try_from(key.secret().unprotected_as_ref());
        ChainSeals(key.expect("HMAC takes a key of any length"))
    }

    /// The key of somebody's addresses, made with what is kept in the person's row and goes with it.
    pub(crate) fn addresses(&self, kept: Uuid) -> Key {
        self.0.derive_for(kept, Purpose::Address)
    }
}

impl ChainSeals {
    /// The seal of an entry.
    #[must_use]
    pub fn seal(&self, previous: &Seal, entry: &[u8]) -> Seal {
        let tag = HmacSha256::hmac(&self.0, &[previous, entry].concat()).expect("fresh state takes data");
        tag.unprotected_as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::crypt::MasterKey;

    #[test]
    fn a_seal_depends_on_entry_place_chain_and_master_key() {
        let seals = Seals::new(Keyring::new(MasterKey::generate()));
        let chain = |number| WorkspaceId(Uuid::from_u128(number));
        let first = [0; SEAL_BYTES];
        let seal = seals.of(chain(1)).seal(&first, b"entry");
        assert_eq!(seal, seals.of(chain(1)).seal(&first, b"entry"));
        assert_ne!(seal, seals.of(chain(1)).seal(&first, b"other"));
        assert_ne!(seal, seals.of(chain(1)).seal(&seal, b"entry"));
        assert_ne!(seal, seals.of(chain(2)).seal(&first, b"entry"));
        assert_ne!(seal, Seals::new(Keyring::new(MasterKey::generate())).of(chain(1)).seal(&first, b"entry"));
    }
}
