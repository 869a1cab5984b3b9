//! `nvisy-api keys`: creates the keys of an installation.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use jwt_simple::prelude::Ed25519KeyPair;
use nvisy_shared::crypt::generate_master_key;

/// A key file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the key file {0} cannot be used")]
pub struct KeysError(PathBuf, #[source] io::Error);

/// Creates `private.pem` and `public.pem` (an Ed25519 pair) and `encryption.key` (32 bytes) in `directory`, readable by their
/// owner only, and returns the paths of the new files. Existing files are kept, unless `force`: everything signed or
/// encrypted with an overwritten key is lost.
///
/// # Errors
/// When the directory or a file cannot be written.
pub fn keys(directory: &Path, force: bool) -> Result<Vec<PathBuf>, KeysError> {
    fs::create_dir_all(directory).map_err(|error| KeysError(directory.to_owned(), error))?;
    let private = directory.join("private.pem");
    let public = directory.join("public.pem");
    let encryption = directory.join("encryption.key");
    let mut created = Vec::new();
    if force || !(private.exists() || public.exists()) {
        write(&private, Ed25519KeyPair::generate().to_pem().as_bytes())?;
        created.push(private.clone());
    }
    // Derived from the existing private key, also when a crash left only that one.
    if force || !public.exists() {
        write(&public, pair(&private)?.public_key().to_pem().as_bytes())?;
        created.push(public);
    }
    if force || !encryption.exists() {
        write(&encryption, &generate_master_key())?;
        created.push(encryption);
    }
    Ok(created)
}

fn pair(private: &Path) -> Result<Ed25519KeyPair, KeysError> {
    let failed = |error| KeysError(private.to_owned(), error);
    let pem = fs::read_to_string(private).map_err(failed)?;
    Ed25519KeyPair::from_pem(&pem).map_err(|_| failed(io::Error::other("it is not an Ed25519 key in PEM")))
}

/// Through a temporary file, so that a crash leaves the old key or the new one, never a part of one.
fn write(path: &Path, content: &[u8]) -> Result<(), KeysError> {
    let temporary = path.with_extension("new");
    let attempt = || {
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    attempt().map_err(|error| KeysError(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_private_and_overwritten_only_with_force() {
        let directory = tempfile::tempdir().unwrap();
        let content = || {
            ["private.pem", "public.pem", "encryption.key"].map(|name| fs::read(directory.path().join(name)).unwrap())
        };

        assert_eq!(keys(directory.path(), false).unwrap().len(), 3);
        let first = content();
        assert_eq!(first[2].len(), 32);
        for name in ["private.pem", "public.pem", "encryption.key"] {
            assert_eq!(fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777, 0o600);
        }

        assert!(keys(directory.path(), false).unwrap().is_empty());
        assert_eq!(content(), first);

        fs::remove_file(directory.path().join("public.pem")).unwrap();
        assert_eq!(keys(directory.path(), false).unwrap(), [directory.path().join("public.pem")]);
        assert_eq!(content(), first);

        assert_eq!(keys(directory.path(), true).unwrap().len(), 3);
        assert_ne!(content(), first);
    }
}
