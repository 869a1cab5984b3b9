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

/// Separates Nvisy's use of a master key from any other use of the same bytes.
const SALT: &[u8] = b"nvisy master key v1";

/// The generation of the only master key so far; stored with every ciphertext to distinguish later generations.
const GENERATION: u32 = 1;

/// The installation's root secret. It encrypts nothing itself; the keys that do are derived from it.
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

    /// A value that identifies this key and reveals nothing else, so it may be stored in the clear.
    #[must_use]
    pub fn check_value(&self) -> [u8; KEY_BYTES] {
        let mut bytes = [0; KEY_BYTES];
        // Shorter than any label with an owner id, so no derived key equals it.
        Hkdf::<SHA512>::derive_key(SALT, self.0.unprotected_as_ref(), Some(b"check"), &mut bytes)
            .expect("HKDF-SHA512 gives up to 16320 bytes");
        bytes
    }

    /// Writes the key to a new file that only its owner can read.
    ///
    /// # Errors
    /// The file cannot be written, or exists: overwriting a key would lose every file sealed under it.
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

/// Why a key file cannot be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file is missing or not readable.
    #[error("cannot read the encryption key {}", path.display())]
    Unreadable {
        /// The key file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file has the wrong length.
    #[error("the encryption key {} must be {KEY_BYTES} raw bytes long, but has {found}", path.display())]
    WrongLength {
        /// The key file.
        path: PathBuf,
        /// Its length in bytes.
        found: usize,
    },
    /// The file exists or is not writable.
    #[error("cannot write the encryption key {}", path.display())]
    Unwritable {
        /// The key file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// The use of a derived key; keys of different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPurpose {
    /// Seals file content in the object store.
    Blob,
    /// MACs of the activity log.
    ActivityMac,
    /// Seals IP addresses in the activity log.
    IpAddress,
    /// Computes codes of invites.
    InviteCode,
    /// Computes and verifies refresh tokens.
    RefreshToken,
    /// Fingerprints of secrets in requests with an idempotency key.
    RequestFingerprint,
    /// Seals secrets of second factors.
    TotpSecret,
    /// Hashes recovery codes.
    RecoveryCode,
    /// Computes secrets of API tokens.
    ApiToken,
    /// Hashes passages that a pipeline redacts.
    Redaction,
    /// Computes the secrets by which requests to services of tenants are signed.
    WebhookSignature,
    /// Seals credentials of connections.
    Connection,
}

impl KeyPurpose {
    /// The input of the key derivation. Never change a label: data sealed under its keys would become unreadable.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Blob => b"blob",
            Self::ActivityMac => b"activity",
            Self::IpAddress => b"address",
            Self::InviteCode => b"invite",
            Self::RefreshToken => b"refresh",
            Self::RequestFingerprint => b"repeated",
            Self::TotpSecret => b"totp",
            Self::RecoveryCode => b"recovery",
            Self::ApiToken => b"token",
            Self::Redaction => b"redaction",
            Self::WebhookSignature => b"webhook",
            Self::Connection => b"connection",
        }
    }
}

/// Derives keys from the master key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keyring {
    master: Arc<MasterKey>,
}

impl Keyring {
    /// A keyring for a master key.
    #[must_use]
    pub fn new(master: MasterKey) -> Self {
        Self { master: Arc::new(master) }
    }

    /// The key of a workspace for a purpose; always the same. Takes a few microseconds.
    #[must_use]
    pub fn derive(&self, workspace: WorkspaceId, purpose: KeyPurpose) -> DerivedKey {
        self.derive_for(workspace.0, purpose)
    }

    /// The key of any owner for a purpose: an account's id, or the nil id for the whole installation.
    #[must_use]
    pub fn derive_for(&self, owner: Uuid, purpose: KeyPurpose) -> DerivedKey {
        // The id has a fixed length, so different (purpose, owner) pairs never give the same input.
        let info = [purpose.label(), owner.as_bytes()].concat();
        let mut bytes = [0; KEY_BYTES];
        Hkdf::<SHA512>::derive_key(SALT, self.master.0.unprotected_as_ref(), Some(&info), &mut bytes)
            .expect("HKDF-SHA512 gives up to 16320 bytes");
        DerivedKey { generation: GENERATION, secret: SecretKey::from(bytes) }
    }
}

/// A derived key, and the generation of its master key.
///
/// Wiped from memory when dropped, hidden in `Debug`.
#[derive(Debug)]
pub struct DerivedKey {
    generation: u32,
    secret: SecretKey,
}

impl DerivedKey {
    /// The master key's generation, to be stored with everything this key seals.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) const fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// HMAC-SHA256 under this key; computing it requires the master key.
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
        let key = keyring(7).derive(workspace(1), KeyPurpose::Blob);
        assert_eq!(key.generation(), 1);
        // A change of these bytes makes every stored file unreadable.
        assert_eq!(
            key.secret.unprotected_as_ref(),
            [
                0xea, 0x64, 0xfe, 0x04, 0x25, 0x94, 0x34, 0xf4, 0xb0, 0x0c, 0xaf, 0x8e, 0x78, 0x53, 0x19, 0xf0, 0x71,
                0x9f, 0x49, 0x52, 0x5a, 0x8f, 0x72, 0xd2, 0xe0, 0x96, 0xa5, 0xa4, 0x23, 0x0a, 0xae, 0x46
            ]
        );
    }

    #[test]
    fn derived_keys_differ_by_workspace_and_master_key() {
        let key = |master, number| keyring(master).derive(workspace(number), KeyPurpose::Blob).secret;
        assert!(key(7, 1) == key(7, 1));
        assert!(key(7, 1) != key(7, 2));
        assert!(key(7, 1) != key(8, 1));
    }

    #[test]
    fn check_value_is_stable_and_not_a_derived_key() {
        let check = keyring(7).master.check_value();
        // A change of these bytes makes every database reject its own key.
        assert_eq!(hex::encode(check), "ed2f282cfbc49c5df1f2c4686b06e53f079f014f1bc3257dc4698c22961e77f6");
        assert_ne!(check, keyring(8).master.check_value());
        assert_ne!(check, keyring(7).derive(workspace(1), KeyPurpose::Blob).secret.unprotected_as_ref());
    }

    #[test]
    fn written_key_file_is_readable_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("encryption.key");
        let key = MasterKey::generate();
        key.write_new(&path).unwrap();
        assert!(MasterKey::read(&path).unwrap().0 == key.0);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(key.0 != MasterKey::generate().0);
    }

    #[test]
    fn key_file_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("encryption.key");
        let first = MasterKey::generate();
        first.write_new(&path).unwrap();
        assert!(MasterKey::generate().write_new(&path).is_err());
        assert!(MasterKey::read(&path).unwrap().0 == first.0);
    }

    #[test]
    fn key_file_errors_contain_the_path() {
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
    fn debug_hides_key_bytes() {
        let key = keyring(0xAB);
        let shown = format!("{key:?} {:?}", key.derive(workspace(1), KeyPurpose::Blob));
        assert!(!shown.contains("171") && !shown.to_lowercase().contains("abab"), "{shown}");
    }
}
