//! The form of ids and port names.

use std::collections::BTreeSet;

use super::{
    port::{ELSE, INPUT},
    problem::{NodeProblems, ProblemCode},
};

/// Maximum length of an id, in bytes.
pub const MAX_ID_BYTES: usize = 64;
/// Maximum number of branches of a switch.
pub const MAX_BRANCHES: usize = 50;

/// Whether the text is an id: a letter, then letters, digits, `_` and `-`. A dot would separate a port.
#[must_use]
pub fn is_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Adds the problems of the names of a switch's branches.
pub(super) fn validate_branches<'a>(names: impl Iterator<Item = &'a String>, problems: &mut NodeProblems<'_>) {
    let mut taken = BTreeSet::new();
    let mut count = 0;
    for name in names {
        count += 1;
        if !is_id(name) || [ELSE, INPUT].contains(&name.as_str()) {
            let message = format!("`{name}` is no name of a branch");
            let remedy = format!("use a letter, then letters, digits, _ and -, and neither `{ELSE}` nor `{INPUT}`");
            problems.add(ProblemCode::InvalidId, "branches", message, remedy);
        } else if !taken.insert(name) {
            problems.add(
                ProblemCode::DuplicateId,
                "branches",
                format!("two branches are named `{name}`"),
                "rename one",
            );
        }
    }
    if count == 0 || count > MAX_BRANCHES {
        let message = format!("has {count} branches, not 1 to {MAX_BRANCHES}");
        problems.add(ProblemCode::InvalidSetting, "branches", message, "add or remove branches");
    }
}
