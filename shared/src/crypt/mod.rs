//! Cryptography: keys derived from one master key, a sealed stream format for file content, MACs of the activity log,
//! tokens, invite codes, passwords, and randomness.
//!
//! The module reads the master key from a file and does not know where sealed bytes are stored.

pub mod audit_mac;
pub mod envelope;
pub mod invite_code;
pub mod ip_address;
mod keys;
mod password;
pub mod refresh;
pub mod stream;
pub mod token;
pub mod webhook_signature;

use crate::id::{ConnectionId, WorkspaceId};

pub use keys::{DerivedKey, KeyFileError, KeyPurpose, Keyring, MasterKey};
pub use password::{PasswordError, hash_password, verify_password};

/// The owner of sealed credentials: they open for no other connection, not even of the same workspace.
#[must_use]
pub fn connection_owner(workspace: WorkspaceId, connection: ConnectionId) -> Vec<u8> {
    [workspace.0.as_bytes().as_slice(), connection.0.as_bytes()].concat()
}

/// Random bytes for a new master key file.
#[must_use]
pub fn generate_master_key() -> [u8; 32] {
    random()
}

/// Random bytes of the operating system, suitable for keys, tokens and nonces.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    orion::util::secure_rand_bytes(&mut bytes).expect("the operating system has randomness, and N is not 0");
    bytes
}
