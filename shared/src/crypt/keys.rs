//! The master key and the keys derived from it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orion::hazardous::aead::xchacha20poly1305::SecretKey;
use orion::hazardous::kdf::hkdf::{Hkdf, SHA512};
use orion::hazardous::mac::hmac::sha256 as hmac;
use thiserror::Error;
use uuid::Uuid;

use crate::id::WorkspaceId;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Separates our use of a master key from any other use of the same bytes.
const SALT: &[u8] = b"nvisy master key v1";

/// The generation of the one master key there is; stored with every ciphertext, so that a second
/// generation can be told from it.
const GENERATION: u32 = 1;

/// The installation's root secret. It never encrypts: every key that does is derived from it.
///
/// Wiped from memory when dropped, hidden in `Debug`.
#[derive(Debug)]
pub struct MasterKey(SecretKey);

impl MasterKey {
    /// A new key from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self(SecretKey::generate().expect("the operating system has randomness"))
    }

    /// Reads a key file: 32 raw bytes.
    ///
    /// # Errors
    /// The file cannot be read or has another length.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let bytes = fs::read(path).map_err(|source| KeyFileError::Unreadable { path: path.to_owned(), source })?;
        match SecretKey::try_from(bytes.as_slice()) {
            Ok(key) => Ok(Self(key)),
            Err(_) => Err(KeyFileError::WrongLength { path: path.to_owned(), found: bytes.len() }),
        }
    }

    /// Tells this key from every other, and serves for nothing else: it may be stored where anybody reads it.
    #[must_use]
    pub fn check_value(&self) -> [u8; KEY_BYTES] {
        let mut bytes = [0; KEY_BYTES];
        // Shorter than the label of any purpose with its workspace, so no key is derived this way.
        Hkdf::<SHA512>::derive_key(SALT, self.0.unprotected_as_ref(), Some(b"check"), &mut bytes)
            .expect("HKDF-SHA512 gives up to 16320 bytes");
        bytes
    }

    /// Writes the key to a new file that only its owner can read.
    ///
    /// # Errors
    /// The file cannot be written, or exists: whoever overwrites a key loses every file sealed under it.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyFileError> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| {
                file.write_all(self.0.unprotected_as_ref())?;
                file.sync_all()
            })
            .map_err(|source| KeyFileError::Unwritable { path: path.to_owned(), source })
    }
}

/// What can be wrong with a key file.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// Missing, or not ours to read.
    #[error("cannot read the encryption key {}", path.display())]
    Unreadable {
        /// The key file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a key.
    #[error("the encryption key {} must be {KEY_BYTES} raw bytes long, but has {found}", path.display())]
    WrongLength {
        /// The key file.
        path: PathBuf,
        /// Its length in bytes.
        found: usize,
    },
    /// Already there, or not ours to write.
    #[error("cannot write the encryption key {}", path.display())]
    Unwritable {
        /// The key file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a derived key is for; keys of different purposes have nothing in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// File bytes in the object store.
    Blob,
    /// Seals of the activity log.
    Activity,
    /// Addresses in the activity log.
    Address,
    /// Codes of invites.
    Invite,
    /// Refresh tokens that follow one another.
    Refresh,
    /// Telling apart passwords in requests that are repeated.
    Repeated,
    /// Secrets of second factors.
    Totp,
    /// Hashes of recovery codes.
    Recovery,
    /// Secrets of API tokens.
    Token,
}

impl Purpose {
    /// The name that goes into the derivation: renaming one makes everything sealed under it unreadable.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Blob => b"blob",
            Self::Activity => b"activity",
            Self::Address => b"address",
            Self::Invite => b"invite",
            Self::Refresh => b"refresh",
            Self::Repeated => b"repeated",
            Self::Totp => b"totp",
            Self::Recovery => b"recovery",
            Self::Token => b"token",
        }
    }
}

/// Derives the keys of every workspace. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keyring {
    master: Arc<MasterKey>,
}

impl Keyring {
    /// A keyring over a master key.
    #[must_use]
    pub fn new(master: MasterKey) -> Self {
        Self { master: Arc::new(master) }
    }

    /// The key of one workspace for one purpose; the same each time. Takes a few microseconds.
    #[must_use]
    pub fn derive(&self, workspace: WorkspaceId, purpose: Purpose) -> Key {
        self.derive_for(workspace.0, purpose)
    }

    /// The key of whatever has this id: an account, or, with the nil id, the whole installation.
    #[must_use]
    pub fn derive_for(&self, owner: Uuid, purpose: Purpose) -> Key {
        // The id has a fixed length, so no two (purpose, owner) pairs run together.
        let info = [purpose.label(), owner.as_bytes()].concat();
        let mut bytes = [0; KEY_BYTES];
        Hkdf::<SHA512>::derive_key(SALT, self.master.0.unprotected_as_ref(), Some(&info), &mut bytes)
            .expect("HKDF-SHA512 gives up to 16320 bytes");
        Key { id: GENERATION, secret: SecretKey::from(bytes) }
    }
}

/// A derived key, and the generation of the master key behind it.
///
/// Wiped from memory when dropped, hidden in `Debug`.
#[derive(Debug)]
pub struct Key {
    id: u32,
    secret: SecretKey,
}

impl Key {
    /// The master key's generation, to be stored with what this key seals.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    pub(super) const fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// HMAC-SHA256 under this key: what only somebody who has the master key can compute.
    #[must_use]
    pub fn mac(&self, data: &[u8]) -> [u8; 32] {
        let key = hmac::SecretKey::try_from(self.secret.unprotected_as_ref()).expect("HMAC takes a key of any length");
        let tag = hmac::HmacSha256::hmac(&key, data).expect("fresh state takes data");
        tag.unprotected_as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use uuid::Uuid;

    use super::*;

    fn keyring(byte: u8) -> Keyring {
        Keyring::new(MasterKey(SecretKey::from([byte; KEY_BYTES])))
    }

    fn workspace(number: u128) -> WorkspaceId {
        WorkspaceId(Uuid::from_u128(number))
    }

    #[test]
    fn derived_keys_are_stable() {
        let key = keyring(7).derive(workspace(1), Purpose::Blob);
        assert_eq!(key.id(), 1);
        // Whatever changes these bytes makes every stored file unreadable.
        assert_eq!(
            key.secret.unprotected_as_ref(),
            [
                0xea, 0x64, 0xfe, 0x04, 0x25, 0x94, 0x34, 0xf4, 0xb0, 0x0c, 0xaf, 0x8e, 0x78, 0x53, 0x19, 0xf0, 0x71,
                0x9f, 0x49, 0x52, 0x5a, 0x8f, 0x72, 0xd2, 0xe0, 0x96, 0xa5, 0xa4, 0x23, 0x0a, 0xae, 0x46
            ]
        );
    }

    #[test]
    fn workspaces_and_masters_have_their_own_keys() {
        let key = |master, number| keyring(master).derive(workspace(number), Purpose::Blob).secret;
        assert!(key(7, 1) == key(7, 1));
        assert!(key(7, 1) != key(7, 2));
        assert!(key(7, 1) != key(8, 1));
    }

    #[test]
    fn the_check_value_is_stable_and_no_key() {
        let check = keyring(7).master.check_value();
        // Whatever changes these bytes makes every database refuse its own key.
        assert_eq!(hex::encode(check), "ed2f282cfbc49c5df1f2c4686b06e53f079f014f1bc3257dc4698c22961e77f6");
        assert_ne!(check, keyring(8).master.check_value());
        assert_ne!(check, keyring(7).derive(workspace(1), Purpose::Blob).secret.unprotected_as_ref());
    }

    #[test]
    fn a_written_key_reads_back_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("encryption.key");
        let key = MasterKey::generate();
        key.write_new(&path).unwrap();
        assert!(MasterKey::read(&path).unwrap().0 == key.0);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(key.0 != MasterKey::generate().0);
    }

    #[test]
    fn a_key_file_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("encryption.key");
        let first = MasterKey::generate();
        first.write_new(&path).unwrap();
        assert!(MasterKey::generate().write_new(&path).is_err());
        assert!(MasterKey::read(&path).unwrap().0 == first.0);
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("encryption.key");
        let missing = MasterKey::read(&path).unwrap_err().to_string();
        assert!(missing.contains(path.to_str().unwrap()), "{missing}");

        for length in [0, 31, 33, 64] {
            fs::write(&path, vec![1; length]).unwrap();
            let wrong = MasterKey::read(&path).unwrap_err().to_string();
            assert!(wrong.contains(path.to_str().unwrap()), "{wrong}");
            assert!(wrong.ends_with(&format!("but has {length}")), "{wrong}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let key = keyring(0xAB);
        let shown = format!("{key:?} {:?}", key.derive(workspace(1), Purpose::Blob));
        assert!(!shown.contains("171") && !shown.to_lowercase().contains("abab"), "{shown}");
    }
}
