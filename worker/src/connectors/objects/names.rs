//! Names of objects: which can be addressed, and how long ones become ids.

use nvisy_shared::domain::{
    connection::objects::MAX_PATH_BYTES,
    failure::{Failure, FailureCode},
    file::MAX_EXTERNAL_ID_CHARS,
};
use sha2::{Digest, Sha256};

use crate::connectors::ObjectFailure;

/// Characters of a long path that its id keeps.
const KEPT_CHARS: usize = 400;

/// Why an object of this path cannot be read; `None`: it can. Clients of HTTP resolve `..`, and opendal joins `//`: both would lead
/// to another object.
pub(in crate::connectors) fn problem(path: &str) -> Option<&'static str> {
    if path.len() > MAX_PATH_BYTES {
        return Some("is longer than 4096 bytes");
    }
    if path.contains('\0') {
        return Some("contains the character NUL");
    }
    if path.contains('\u{fffd}') {
        return Some("is not valid UTF-8");
    }
    if path.trim() != path {
        return Some("begins or ends with white space");
    }
    let mut parts = path.split('/');
    match parts.find(|part| part.is_empty() || *part == "." || *part == "..") {
        Some("") => Some("has an empty part between two `/`"),
        Some(_) => Some("has a part `.` or `..`"),
        None => None,
    }
}

/// The failure of an object that cannot be read because of its name.
pub(in crate::connectors) fn failure(container: Option<&str>, path: &str, reason: &str) -> ObjectFailure {
    let shown: String = path.chars().filter(|c| *c != '\0').collect();
    ObjectFailure {
        external_id: external_id(container, &shown),
        name: shown,
        failure: Failure::new(FailureCode::InvalidName, format!("its path {reason}")),
    }
}

/// The id of an object: its path, or of a long one the beginning and a hash.
pub(in crate::connectors) fn external_id(container: Option<&str>, path: &str) -> String {
    let id = match container {
        Some(container) => format!("{container}/{path}"),
        None => path.to_owned(),
    };
    if id.chars().count() <= MAX_EXTERNAL_ID_CHARS {
        return id;
    }
    let hash = hex::encode(Sha256::digest(id.as_bytes()));
    let beginning: String = id.chars().take(KEPT_CHARS).collect();
    format!("{beginning}#{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for path in ["../x", "a/../b", "a//b", "/a", "a/", "./a", " a", "a\0b", "a\u{fffd}b", &"x".repeat(5000)] {
            assert!(problem(path).is_some(), "{path:?}");
        }
        for path in ["a", "a/b.txt", "..a/b..", "a b", "ü/🌊", "a\\b", &"x".repeat(2000)] {
            assert_eq!(problem(path), None, "{path:?}");
        }
    }

    #[test]
    fn long_paths_have_ids_that_differ() {
        let (one, two) = (format!("{}1", "x".repeat(2000)), format!("{}2", "x".repeat(2000)));
        let (one, two) = (external_id(Some("b"), &one), external_id(Some("b"), &two));
        assert!(one != two && one.chars().count() <= MAX_EXTERNAL_ID_CHARS);
        assert_eq!(external_id(Some("b"), "a/c"), "b/a/c");
    }
}
