//! Signatures of requests to services of tenants, as Standard Webhooks has them (standardwebhooks.com).
//!
//! The secret of a workspace is computed from its key and a version, as secrets of API tokens are: no row and no backup has it, and a
//! new version replaces a secret that has become known.

use base64::{Engine, engine::general_purpose::STANDARD};
use orion::{
    hazardous::mac::hmac::sha256::{HmacSha256, SecretKey},
    util::secure_cmp,
};

use super::{KeyPurpose, Keyring};
use crate::{
    id::{ConnectionId, WorkspaceId},
    secret::Secret,
};

/// Signatures of a header that are compared.
const MAX_SIGNATURES: usize = 10;

/// A secret by which requests are signed.
#[derive(Debug)]
pub struct SigningSecret(Secret<Vec<u8>>);

impl SigningSecret {
    /// The secret of a workspace in a version.
    #[must_use]
    pub fn derive(keys: &Keyring, workspace: WorkspaceId, version: i32) -> Self {
        let key = keys.derive(workspace, KeyPurpose::WebhookSignature);
        Self(Secret::new(key.mac(&version.to_le_bytes()).to_vec()))
    }

    /// The secret in a version, with which the system behind a connection signs what it sends.
    #[must_use]
    pub fn of_connection(keys: &Keyring, workspace: WorkspaceId, connection: ConnectionId, version: i32) -> Self {
        let key = keys.derive(workspace, KeyPurpose::WebhookSignature);
        let of = [b"connection".as_slice(), connection.0.as_bytes(), &version.to_le_bytes()].concat();
        Self(Secret::new(key.mac(&of).to_vec()))
    }

    /// The secret as receivers configure it: `whsec_` and base64.
    #[must_use]
    pub fn reveal(&self) -> Secret<String> {
        Secret::new(format!("whsec_{}", STANDARD.encode(self.0.expose())))
    }

    /// Whether one of the signatures in a header `webhook-signature` is by this secret. Takes the same time for every wrong one.
    #[must_use]
    pub fn verifies(&self, signatures: &str, id: &str, time: i64, body: &[u8]) -> bool {
        let expected = self.sign(id, time, body);
        let is_equal = |found: &str| secure_cmp(found.as_bytes(), expected.as_bytes()).is_ok();
        signatures.split(' ').take(MAX_SIGNATURES).filter(|found| is_equal(found)).count() > 0
    }

    fn sign(&self, id: &str, time: i64, body: &[u8]) -> String {
        let signed = [format!("{id}.{time}.").as_bytes(), body].concat();
        let key = SecretKey::try_from(self.0.expose().as_slice()).expect("HMAC takes a key of any length");
        let tag = HmacSha256::hmac(&key, &signed).expect("fresh state takes data");
        format!("v1,{}", STANDARD.encode(tag.unprotected_as_ref()))
    }
}

/// The part of a path that only the system behind a connection knows, in a version.
#[must_use]
pub fn path_code(keys: &Keyring, workspace: WorkspaceId, connection: ConnectionId, version: i32) -> Secret<String> {
    let key = keys.derive(workspace, KeyPurpose::WebhookSignature);
    let of = [b"path".as_slice(), connection.0.as_bytes(), &version.to_le_bytes()].concat();
    Secret::new(hex::encode(&key.mac(&of)[..16]))
}

/// Whether a code of a path is the expected one. Takes the same time for every wrong one.
#[must_use]
pub fn is_path_code(expected: &Secret<String>, found: &str) -> bool {
    secure_cmp(expected.expose().as_bytes(), found.as_bytes()).is_ok()
}

/// The header `webhook-signature`: a signature by each secret, so that receivers have time to change theirs.
#[must_use]
pub fn signatures(secrets: &[SigningSecret], id: &str, time: i64, body: &[u8]) -> String {
    secrets.iter().map(|secret| secret.sign(id, time, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn signature_is_that_of_standard_webhooks() {
        let secret = SigningSecret(Secret::new(STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()));
        let found = signatures(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(found, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn signature_of_another_secret_body_or_time_is_rejected() {
        let secret = SigningSecret(Secret::new(vec![7; 32]));
        let signed = format!("v1,AAAA {}", secret.sign("m", 1, b"body"));
        assert!(secret.verifies(&signed, "m", 1, b"body"));
        let others = [("n", 1, b"body"), ("m", 2, b"body"), ("m", 1, b"Body")];
        assert!(others.iter().all(|(id, time, body)| !secret.verifies(&signed, id, *time, *body)));
        assert!(!SigningSecret(Secret::new(vec![8; 32])).verifies(&signed, "m", 1, b"body"));
        assert!(!secret.verifies("", "m", 1, b"body"));
    }
}
