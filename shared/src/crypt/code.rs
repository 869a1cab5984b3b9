//! Codes of invites and admissions: 256 bits that nobody can guess, stored nowhere.
//!
//! A code is a keyed hash of the invite's id under a key derived from the master key. So it can be shown again to a
//! request that is repeated, while the database holds no more than its hash, to look it up.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use orion::hazardous::mac::hmac::sha256::{HmacSha256, SecretKey};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Keyring, Purpose};
use crate::{
    id::{AdmissionId, InviteId, WorkspaceId},
    secret::Secret,
};

/// Says to people, and to scanners of text, what was found.
const PREFIX: &str = "nvisy_invite_";
/// Of a code without its prefix: 32 bytes in base64.
const LENGTH: usize = 43;

/// Makes codes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Codes(Keyring);

impl Codes {
    /// Codes under keys of this keyring.
    #[must_use]
    pub const fn new(keyring: Keyring) -> Self {
        Self(keyring)
    }

    /// The code of an invite; the same each time.
    #[must_use]
    pub fn code(&self, workspace: WorkspaceId, invite: InviteId) -> Secret<String> {
        self.write(workspace, invite.0)
    }

    /// The code of an operator's word that somebody may sign up; the same each time.
    #[must_use]
    pub fn admission(&self, id: AdmissionId) -> Secret<String> {
        self.write(WorkspaceId::SYSTEM, id.0)
    }

    fn write(&self, workspace: WorkspaceId, id: Uuid) -> Secret<String> {
        let key = self.0.derive(workspace, Purpose::Invite);
        let key = SecretKey::try_from(key.secret().unprotected_as_ref()).expect("HMAC takes a key of any length");
        let tag = HmacSha256::hmac(&key, id.as_bytes()).expect("fresh state takes data");
        Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(tag.unprotected_as_ref())))
    }
}

/// What is stored of a code, and looked up. `None`: it is none.
#[must_use]
pub fn hash(code: &Secret<String>) -> Option<[u8; 32]> {
    let letters = code.expose().strip_prefix(PREFIX)?;
    (letters.len() == LENGTH).then(|| Sha256::digest(letters).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypt::MasterKey;

    #[test]
    fn codes_are_stable_different_and_hashable() {
        let codes = Codes::new(Keyring::new(MasterKey::generate()));
        let (workspace, invite) = (WorkspaceId::new(), InviteId::new());
        let code = codes.code(workspace, invite);
        assert_eq!(code.expose(), codes.code(workspace, invite).expose());
        assert_ne!(code.expose(), codes.code(workspace, InviteId::new()).expose());
        assert_ne!(code.expose(), codes.code(WorkspaceId::new(), invite).expose());
        assert!(hash(&code).is_some());
        for other in ["", "nvisy_invite_", "nvisy_invite_abc", "x"] {
            assert!(hash(&Secret::new(other.to_owned())).is_none(), "{other}");
        }
    }
}
