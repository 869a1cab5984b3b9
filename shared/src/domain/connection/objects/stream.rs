//! What a source reads of a store.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

/// The setting `stream` of a `source.connection` that reads objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ObjectStream {
    /// The folder to read, with everything below it; absent: all.
    #[schemars(length(max = 4096))]
    pub path: String,
}
