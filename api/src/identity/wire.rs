//! Response types that several identity slices return.

use apistos::ApiComponent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A mail is on its way, if the address has an account or may get one.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Mailed {
    /// The address, normalized.
    pub email: String,
}
