//! Setting the metadata of elements and of the file.

use std::sync::Arc;

use nvisy_shared::domain::failure::{Failure, FailureCode};
use serde_json::{Map, Value};

use crate::{
    pipeline::{
        contract::Effect,
        element::{Elements, Origin},
    },
    runner::JobError,
};

/// Maximum size of the metadata of a file, as JSON.
const MAX_METADATA_BYTES: usize = 64 * 1024;
/// Maximum size of a record, as JSON.
pub(super) const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// Sets the metadata of the elements. The file gets those of the last element for each key.
///
/// # Errors
/// As [`check`].
pub(super) fn set_metadata(
    elements: &mut Elements,
    values: Vec<Map<String, Value>>,
) -> Result<Option<Effect>, JobError> {
    let mut all = Map::new();
    let any = !values.is_empty();
    for (origin, values) in elements.origins_mut().into_iter().zip(values) {
        let mut metadata = origin.metadata.clone();
        metadata.extend(values.clone());
        *origin = Arc::new(Origin { metadata, document: origin.document.clone() });
        all.extend(values);
    }
    check("the metadata", &Value::Object(all.clone()), MAX_METADATA_BYTES)?;
    Ok(any.then_some(Effect::Metadata(all)))
}

/// Checks that a value can be stored.
///
/// # Errors
/// [`FailureCode::ExpressionFailed`] for the character U+0000, [`FailureCode::TooLarge`].
pub(super) fn check(what: &str, value: &Value, max_bytes: usize) -> Result<(), JobError> {
    if has_nul(value) {
        return Err(failed(FailureCode::ExpressionFailed, format!("{what} would contain the character U+0000")));
    }
    if value.to_string().len() > max_bytes {
        return Err(failed(FailureCode::TooLarge, format!("{what} would have more than {max_bytes} bytes")));
    }
    Ok(())
}

fn failed(code: FailureCode, detail: impl Into<String>) -> JobError {
    JobError::Fail(Failure::new(code, detail))
}

/// Whether a text in the value contains a character that PostgreSQL cannot store.
pub(super) fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(entries) => entries.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}
