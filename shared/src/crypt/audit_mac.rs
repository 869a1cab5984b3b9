//! Message authentication codes of the activity log: each entry's MAC is a keyed hash over the entry and the MAC before it.
//!
//! The keys are derived from the master key, which the database never sees: write access to every row is not enough to
//! compute MACs that match. The API shows a MAC as `seal`.

use orion::hazardous::mac::hmac::sha256::{HmacSha256, SecretKey};

use uuid::Uuid;

use super::{DerivedKey, KeyPurpose, Keyring};
use crate::id::WorkspaceId;

/// Bytes of a MAC.
pub const MAC_BYTES: usize = 32;

/// The MAC of a chain's entry; all zeros before the first one.
pub type ChainMac = [u8; MAC_BYTES];

/// Derives the keys of the activity log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AuditKeys(Keyring);

/// The MAC key of one chain.
#[derive(Debug)]
pub struct ChainMacKey(SecretKey);

impl AuditKeys {
    /// Keys derived from this keyring.
    #[must_use]
    pub const fn new(keyring: Keyring) -> Self {
        Self(keyring)
    }

    /// The MAC key of a workspace's chain; the nil id stands for the chain of accounts.
    #[must_use]
    pub fn chain(&self, chain: WorkspaceId) -> ChainMacKey {
        let key = self.0.derive(chain, KeyPurpose::ActivityMac);
        let key = SecretKey::try_from(key.secret().unprotected_as_ref());
        ChainMacKey(key.expect("HMAC takes a key of any length"))
    }

    /// The key that seals the IP addresses of one account, derived with a salt that is stored, and erased, in its row.
    pub(crate) fn address_key(&self, salt: Uuid) -> DerivedKey {
        self.0.derive_for(salt, KeyPurpose::IpAddress)
    }
}

impl ChainMacKey {
    /// The MAC of an entry that follows the entry with the MAC `previous`.
    #[must_use]
    pub fn mac(&self, previous: &ChainMac, entry: &[u8]) -> ChainMac {
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
    fn mac_depends_on_entry_predecessor_chain_and_master_key() {
        let keys = AuditKeys::new(Keyring::new(MasterKey::generate()));
        let chain = |number| WorkspaceId(Uuid::from_u128(number));
        let first = [0; MAC_BYTES];
        let mac = keys.chain(chain(1)).mac(&first, b"entry");
        assert_eq!(mac, keys.chain(chain(1)).mac(&first, b"entry"));
        assert_ne!(mac, keys.chain(chain(1)).mac(&first, b"other"));
        assert_ne!(mac, keys.chain(chain(1)).mac(&mac, b"entry"));
        assert_ne!(mac, keys.chain(chain(2)).mac(&first, b"entry"));
        assert_ne!(mac, AuditKeys::new(Keyring::new(MasterKey::generate())).chain(chain(1)).mac(&first, b"entry"));
    }
}
