//! Password hashing: Argon2id.

use orion::pwhash::{self, CostParams, Password, PasswordHash};

use crate::secret::Secret;

const ITERATIONS: u32 = 3;

/// The password cannot be hashed.
#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed")]
pub struct PasswordError;

/// Hashes a password into a PHC string. Takes so many MiB of memory, and with 64 about a tenth of a second: never call it on a
/// thread that serves requests.
///
/// # Errors
/// When the password is empty.
pub fn hash_password(password: &Secret<String>, mebibytes: u32) -> Result<Secret<String>, PasswordError> {
    let password = Password::try_from(password.expose().as_bytes()).map_err(|_| PasswordError)?;
    let cost = CostParams::new(ITERATIONS, mebibytes.saturating_mul(1024), 1).map_err(|_| PasswordError)?;
    let hash = pwhash::hash_password(&password, &cost).map_err(|_| PasswordError)?;
    Ok(Secret::new(hash.unprotected_as_ref::<str>().to_owned()))
}

/// Whether the password has this hash. As costly as hashing.
#[must_use]
pub fn verify_password(password: &Secret<String>, hash: &Secret<String>) -> bool {
    let Ok(hash) = PasswordHash::try_from(hash.expose().as_str()) else { return false };
    let Ok(password) = Password::try_from(password.expose().as_bytes()) else { return false };
    pwhash::hash_password_verify(&hash, &password).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{hash_password, verify_password};
    use crate::secret::Secret;

    #[test]
    fn hash_is_argon2id_and_verifies_only_its_password() {
        let hash = hash_password(&Secret::new("correct horse".to_owned()), 64).unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=65536,t=3,p=1$"), "{}", hash.expose());
        assert!(verify_password(&Secret::new("correct horse".to_owned()), &hash));
        assert!(!verify_password(&Secret::new("wrong horse".to_owned()), &hash));
    }
}
