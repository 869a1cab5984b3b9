//! Texts of a listing that the database takes: none of them has the character NUL, which some systems have in names.

use nvisy_shared::domain::{
    failure::{Failure, FailureCode},
    file::MAX_EXTERNAL_ID_CHARS,
};
use serde_json::Value;

use crate::connectors::{ListedObject, ObjectFailure};

/// The object without NUL in what people see of it.
pub(super) fn object(mut object: ListedObject) -> ListedObject {
    object.name = text(object.name);
    object.media_type = object.media_type.map(text);
    object.metadata = object.metadata.into_iter().map(|(name, value)| (text(name), json(value))).collect();
    object.acl = object.acl.map(json);
    object.kept = object.kept.map(json);
    object
}

/// The failure under an id that is not empty.
pub(super) fn failure(failure: ObjectFailure) -> ObjectFailure {
    let ObjectFailure { external_id, name, failure } = failure;
    let failure = Failure { detail: text(failure.detail), ..failure };
    ObjectFailure { external_id: printable(&external_id), name, failure }
}

/// Why an object cannot be stored by what identifies it and its state.
pub(super) fn problem(object: &ListedObject) -> Option<Failure> {
    let id = &object.external_id;
    let is_too_long = id.is_empty() || id.chars().count() > MAX_EXTERNAL_ID_CHARS;
    let has_nul = id.contains('\0') || object.revision.contains('\0') || object.locator.as_ref().is_some_and(has_nul);
    (is_too_long || has_nul).then(|| {
        let detail = format!("its id has no or more than {MAX_EXTERNAL_ID_CHARS} characters, or the character NUL");
        Failure::new(FailureCode::InvalidName, detail)
    })
}

/// An id that the database takes.
pub(super) fn printable(id: &str) -> String {
    let id: String = id.chars().filter(|c| *c != '\0').take(MAX_EXTERNAL_ID_CHARS).collect();
    if id.is_empty() { "unnamed".to_owned() } else { id }
}

/// Whether a text within has NUL.
pub(super) fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

fn text(mut text: String) -> String {
    text.retain(|c| c != '\0');
    text
}

fn json(value: Value) -> Value {
    match value {
        Value::String(string) => Value::String(text(string)),
        Value::Array(values) => values.into_iter().map(json).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (text(name), json(value))).collect(),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nul_is_removed_from_names_and_refused_in_ids() {
        let metadata = json!({ "sourcePath": "a\0b", "list": ["\0", 7] }).as_object().unwrap().clone();
        let listed = |id: &str, locator: Value| ListedObject {
            external_id: id.to_owned(),
            name: "a\0b".to_owned(),
            metadata: metadata.clone(),
            locator: Some(locator),
            ..ListedObject::default()
        };
        let cleaned = object(listed("a", json!({ "key": "a" })));
        assert_eq!((cleaned.name.as_str(), &cleaned.metadata["sourcePath"]), ("ab", &json!("ab")));
        assert_eq!(cleaned.metadata["list"], json!(["", 7]));
        assert_eq!(problem(&cleaned), None);
        for refused in [listed("a\0b", json!({})), listed("a", json!({ "key": ["\0"] })), listed("", json!({}))] {
            assert_eq!(problem(&refused).unwrap().code, FailureCode::InvalidName);
        }
        assert_eq!((printable("a\0b"), printable("\0")), ("ab".to_owned(), "unnamed".to_owned()));
    }
}
