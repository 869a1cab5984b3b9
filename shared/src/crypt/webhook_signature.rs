//! Signatures of requests to services of tenants, as Standard Webhooks has them (standardwebhooks.com).
//!
//! The secret of a workspace is computed from its key and a version, as secrets of API tokens are: no row and no backup has it, and a
//! new version replaces a secret that has become known.

use base64::{Engine, engine::general_purpose::STANDARD};
use orion::hazardous::mac::hmac::sha256::{HmacSha256, SecretKey};

use super::{KeyPurpose, Keyring};
use crate::{id::WorkspaceId, secret::Secret};

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

    /// The secret as receivers configure it: `whsec_` and base64.
    #[must_use]
    pub fn reveal(&self) -> Secret<String> {
        Secret::new(format!("whsec_{}", STANDARD.encode(self.0.expose())))
    }

    fn sign(&self, id: &str, time: i64, body: &[u8]) -> String {
        let signed = [format!("{id}.{time}.").as_bytes(), body].concat();
        let key = SecretKey::try_from(self.0.expose().as_slice()).expect("HMAC takes a key of any length");
        let tag = HmacSha256::hmac(&key, &signed).expect("fresh state takes data");
        format!("v1,{}", STANDARD.encode(tag.unprotected_as_ref()))
    }
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
}
