//! The response of the signing operation.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

/// A new secret by which requests to services are signed.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SigningSecret")]
pub struct SigningSecretView {
    /// The secret, `whsec_` and base64. Only this response contains it.
    pub secret: String,
    /// The version, from 1.
    pub version: i32,
    /// Until when requests are signed with the secret before as well; absent for the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<DateTime<Utc>>,
}
