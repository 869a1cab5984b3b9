//! Requests of the operations with links by mail.

use apistos::ApiComponent;
use garde::Validate;
use nvisy_shared::{domain::account::MAX_EMAIL_CHARS, secret::Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    auth::password::Password,
    http::{
        string_schema::{Email, Line, Opaque},
        validation::{email_address, line},
    },
};

/// The token of a link in a mail.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkToken {
    /// The part of the link after `#token=`.
    #[garde(skip)]
    #[schemars(with = "Opaque")]
    pub token: Secret<String>,
}

/// A request for a password reset.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForgottenPassword {
    /// The account's e-mail address.
    #[garde(custom(line(1, MAX_EMAIL_CHARS)))]
    #[schemars(with = "Line<1, 254>")]
    pub email: String,
}

/// A new password, with the token of a reset link.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResetPassword {
    /// The part of the link after `#token=`.
    #[garde(skip)]
    #[schemars(with = "Opaque")]
    pub token: Secret<String>,
    /// The new password; one that is easy to guess is rejected.
    #[garde(dive)]
    pub new_password: Password,
}

/// A change of the account's address.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeEmail {
    /// The new e-mail address.
    #[garde(custom(email_address))]
    #[schemars(with = "Email")]
    pub email: String,
    /// The account's password.
    #[garde(dive)]
    pub password: Password,
}
