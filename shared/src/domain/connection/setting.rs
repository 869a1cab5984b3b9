//! Settings and credentials as JSON: reading them, and their problems.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A setting that a provider does not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSetting {
    /// The path of the field; empty: the whole.
    pub field: String,
    /// The rule that is violated. It quotes no value, which may be secret.
    pub message: String,
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

impl InvalidSetting {
    /// A field and the rule that it violates.
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into() }
    }
}

/// Reads settings or credentials. Messages name the field and the expected type only.
///
/// # Errors
/// [`InvalidSetting`] with the first field that has another shape.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, InvalidSetting> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let text = error.inner().to_string();
        // Other texts of serde quote the value.
        let message = ["missing field", "unknown field", "unknown variant"].iter().any(|known| text.starts_with(known));
        let field = if path == "." { String::new() } else { path };
        InvalidSetting {
            field,
            message: if message { text } else { "has another type or form than the schema".to_owned() },
        }
    })
}
