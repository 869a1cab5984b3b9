//! What the operations that take a mailbox take and give.

use apistos::ApiComponent;
use garde::Validate;
use nvisy_shared::{domain::account::MAX_EMAIL_CHARS, secret::Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    auth::password,
    http::validation::{email_address, line},
};

/// The token of a link in a mail.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkToken {
    /// What stands behind `#token=`.
    #[garde(skip)]
    #[schemars(with = "String")]
    pub token: Secret<String>,
}

/// Whose password is forgotten.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForgottenPassword {
    /// As at sign-up.
    #[garde(custom(line(1, MAX_EMAIL_CHARS)))]
    #[schemars(length(max = 254))]
    pub email: String,
}

/// A new password for whoever reads the mailbox.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResetPassword {
    /// What stands behind `#token=`.
    #[garde(skip)]
    #[schemars(with = "String")]
    pub token: Secret<String>,
    /// Must not be easy to guess.
    #[garde(custom(password::length))]
    #[schemars(with = "String", length(max = 128))]
    pub new_password: Secret<String>,
}

/// Another address for the account.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeEmail {
    /// The new one.
    #[garde(custom(email_address))]
    #[schemars(length(max = 254))]
    pub email: String,
    /// The account's.
    #[garde(custom(password::length))]
    #[schemars(with = "String", length(max = 128))]
    pub password: Secret<String>,
}
