//! Requests and responses of the operations on the second factor.

use apistos::ApiComponent;
use garde::Validate;
use nvisy_shared::store;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    auth::password::Password,
    http::{string_schema::Text, validation::text},
};

/// The password, to start an enrolment.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Enrol {
    /// The account's password.
    #[garde(dive)]
    pub password: Password,
}

/// A code from the authenticator app.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Confirm {
    /// Six digits.
    #[garde(custom(text(6, 32)))]
    #[schemars(with = "Text<6, 32>")]
    pub code: String,
}

/// Both factors, to change the second factor.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BothFactors {
    /// The account's password.
    #[garde(dive)]
    pub password: Password,
    /// Six digits from the authenticator app, or a recovery code.
    #[garde(custom(text(6, 32)))]
    #[schemars(with = "Text<6, 32>")]
    pub code: String,
}

/// The secret of an authenticator app.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Enrolment {
    /// The secret in Base32, to type in.
    pub secret: String,
    /// The `otpauth` URI, to show as a QR code.
    pub uri: String,
}

/// Codes for an account without access to its app; each is valid once.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryCodes {
    /// The codes; no other response contains them.
    pub recovery_codes: Vec<String>,
}

/// The status of the second factor.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SecondFactor")]
pub struct SecondFactorStatus {
    /// Whether logging in requires a code.
    pub active: bool,
    /// The number of unused recovery codes.
    pub recovery_codes: i64,
}

impl From<store::totp::SecondFactorStatus> for SecondFactorStatus {
    fn from(status: store::totp::SecondFactorStatus) -> Self {
        Self { active: status.active, recovery_codes: status.recovery_codes }
    }
}
