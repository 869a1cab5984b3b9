//! The checkpoint of a listing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far a connection was listed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ListingCheckpoint {
    /// Where the listing goes on, in the form of the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<Value>,
    /// The listing is complete, and objects up to this one that it did not name are handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deleted_to: Option<String>,
    /// The listing named what changed, and of other objects up to this one the source was asked which are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asked_to: Option<String>,
    /// The listing is complete, and everything that it did not name is handled.
    pub(crate) is_done: bool,
    /// A notification has said that something changed, and not what: the source is listed.
    pub(crate) is_of_anything: bool,
    /// Objects of notifications up to this one are looked up. Each is looked up once: one that changes again has its next run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) looked_up_to: Option<String>,
    /// Objects that it named.
    pub(crate) seen: i64,
    /// Of them, those that have files; counted by a dry run only.
    pub(crate) matched: i64,
    /// Objects that it named again.
    pub(crate) repeated: i64,
}
