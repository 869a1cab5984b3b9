//! Codes of invites and sign-up permits, of 256 bits.
//!
//! A code is a keyed hash of the invite's id under a key derived from the master key. A repeated request can therefore
//! return the same code, although the database stores only its hash.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use orion::hazardous::mac::hmac::sha256::{HmacSha256, SecretKey};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{KeyPurpose, Keyring};
use crate::{
    id::{InviteId, SignUpPermitId, WorkspaceId},
    secret::Secret,
};

/// Lets people and secret scanners recognise a code.
const PREFIX: &str = "nvisy_invite_";
/// Length of a code without its prefix: 32 bytes in base64.
const ENCODED_LENGTH: usize = 43;

/// Computes codes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct InviteCodes(Keyring);

impl InviteCodes {
    /// Codes under keys derived from this keyring.
    #[must_use]
    pub const fn new(keyring: Keyring) -> Self {
        Self(keyring)
    }

    /// The code of an invite; always the same.
    #[must_use]
    pub fn invite(&self, workspace: WorkspaceId, invite: InviteId) -> Secret<String> {
        self.encode(workspace, invite.0)
    }

    /// The code of a sign-up permit; always the same.
    #[must_use]
    pub fn sign_up_permit(&self, id: SignUpPermitId) -> Secret<String> {
        self.encode(WorkspaceId::SYSTEM, id.0)
    }

    fn encode(&self, workspace: WorkspaceId, id: Uuid) -> Secret<String> {
        let key = self.0.derive(workspace, KeyPurpose::InviteCode);
        let key = SecretKey::try_from(key.secret().unprotected_as_ref()).expect("HMAC takes a key of any length");
        let tag = HmacSha256::hmac(&key, id.as_bytes()).expect("fresh state takes data");
        Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(tag.unprotected_as_ref())))
    }
}

/// The hash under which a code is stored and looked up. `None`: the text is not a code.
#[must_use]
pub fn hash(code: &Secret<String>) -> Option<[u8; 32]> {
    let encoded = code.expose().strip_prefix(PREFIX)?;
    (encoded.len() == ENCODED_LENGTH).then(|| Sha256::digest(encoded).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypt::MasterKey;

    #[test]
    fn codes_are_stable_unique_and_hashable() {
        let codes = InviteCodes::new(Keyring::new(MasterKey::generate()));
        let (workspace, invite) = (WorkspaceId::new(), InviteId::new());
        let code = codes.invite(workspace, invite);
        assert_eq!(code.expose(), codes.invite(workspace, invite).expose());
        assert_ne!(code.expose(), codes.invite(workspace, InviteId::new()).expose());
        assert_ne!(code.expose(), codes.invite(WorkspaceId::new(), invite).expose());
        assert!(hash(&code).is_some());
        for other in ["", "nvisy_invite_", "nvisy_invite_abc", "x"] {
            assert!(hash(&Secret::new(other.to_owned())).is_none(), "{other}");
        }
    }
}
