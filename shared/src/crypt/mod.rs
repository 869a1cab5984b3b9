//! Encryption at rest: keys derived from one master key, a sealed stream format for file bytes, MACs of
//! the activity log, codes of invites, refresh tokens, and randomness.
//!
//! Nothing here knows where keys come from besides a file, or where sealed bytes go.

pub mod address;
pub mod audit_mac;
pub mod code;
pub mod envelope;
pub mod frames;
mod keys;
pub mod opaque;
mod password;
pub mod refresh;

pub use keys::{Key, KeyFileError, Keyring, MasterKey, Purpose};
pub use password::{PasswordError, hash_password, verify_password};

/// The bytes of a new master key, for a key file.
#[must_use]
pub fn generate_master_key() -> [u8; 32] {
    random()
}

/// Random bytes fit for keys, tokens and nonces.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    orion::util::secure_rand_bytes(&mut bytes).expect("the operating system has randomness, and N is not 0");
    bytes
}
