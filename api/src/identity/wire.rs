//! Response types that several identity slices return.

use apistos::ApiComponent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A mail was queued, if the address has an account or can get one.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Mailed {
    /// The address, normalized.
    pub email: String,
}
