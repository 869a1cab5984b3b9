//! `source.sync`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far a connection was listed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListingCheckpoint {
    /// Where the listing goes on, in the form of the provider.
    pub(super) at: Option<Value>,
}
