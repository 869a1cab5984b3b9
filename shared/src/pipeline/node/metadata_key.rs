//! Keys of metadata in settings.

use crate::pipeline::problem::{NodeProblems, ProblemCode};

/// Maximum length of a key, in bytes.
const MAX_KEY_BYTES: usize = 100;

/// Adds the problem of a key in a field.
pub(super) fn validate(key: &str, field: &str, problems: &mut NodeProblems<'_>) {
    if key.is_empty() || key.len() > MAX_KEY_BYTES || key.contains(['.', '\0']) {
        let message = format!("the key `{key}` must have 1 to {MAX_KEY_BYTES} bytes and no dot");
        problems.add(ProblemCode::InvalidSetting, field, message, "rename the key");
    }
}
