//! What the operations on the second factor take and give.

use apistos::ApiComponent;
use garde::Validate;
use nvisy_shared::{secret::Secret, store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{auth::password, http::validation::text};

/// The password, to begin an enrolment.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Enrol {
    /// The account's.
    #[garde(custom(password::length))]
    #[schemars(with = "String", length(max = 128))]
    pub password: Secret<String>,
}

/// A code from the app.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Confirm {
    /// Six digits.
    #[garde(custom(text(6, 32)))]
    #[schemars(length(min = 6, max = 32))]
    pub code: String,
}

/// Both factors, to change the second.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BothFactors {
    /// The account's.
    #[garde(custom(password::length))]
    #[schemars(with = "String", length(max = 128))]
    pub password: Secret<String>,
    /// Six digits from the app, or a recovery code.
    #[garde(custom(text(6, 32)))]
    #[schemars(length(min = 6, max = 32))]
    pub code: String,
}

/// What an app needs to make codes.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Enrolment {
    /// In Base32, to be typed.
    pub secret: String,
    /// To be shown as a QR code.
    pub uri: String,
}

/// Codes for whoever has lost the app; each counts once.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryCodes {
    /// Shown this once.
    pub recovery_codes: Vec<String>,
}

/// How the account stands with its second factor.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct SecondFactor {
    /// Whether logging in takes a code.
    pub active: bool,
    /// Recovery codes that are left.
    pub recovery_codes: i64,
}

impl From<store::totp::SecondFactorStatus> for SecondFactor {
    fn from(standing: store::totp::SecondFactorStatus) -> Self {
        Self { active: standing.active, recovery_codes: standing.recovery_codes }
    }
}
