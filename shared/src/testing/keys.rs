//! The key files of a test.

use std::path::{Path, PathBuf};

use crate::crypt::MasterKey;

/// A folder with an encryption key; a test that needs other key files creates them beside it.
pub struct TestKeys {
    folder: tempfile::TempDir,
}

impl TestKeys {
    pub(super) fn generate() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        MasterKey::generate().write_new(&folder.path().join("encryption.key")).expect("a key file");
        Self { folder }
    }

    /// The path of a file in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
