//! Finding files of the repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository exists")
}

/// All Rust files below a directory of the repository, sorted.
pub fn rust_files(directory: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![root().join(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("the directory is readable") {
            let path = entry.expect("the entry is readable").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "no Rust files below {directory}");
    files.sort();
    files
}

/// All files of the repository that git tracks or may track, by their path in it, sorted.
pub fn all_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root().join(&directory)).expect("the directory is readable") {
            let entry = entry.expect("the entry is readable");
            let path = directory.join(entry.file_name());
            // Of the root alone: a folder of modules may have such a name.
            let ignored = [".git", ".local", "target", "keys"].iter().any(|name| path == Path::new(name));
            let ignored = ignored || path.ends_with("__pycache__");
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !ignored => directories.push(path),
                Ok(kind) if kind.is_file() => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    files
}
