//! What the account operations take and give.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{
    domain::account::{EMAIL_MAX, normalise_email},
    entity,
    secret::Secret,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    auth::{account::CurrentAccount, password},
    http::rules::text,
};

/// A new account.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "sign_up_example")]
pub(crate) struct SignUp {
    /// Where the person is reached, and what they log in with; upper and lower case are the same.
    #[garde(custom(email_address))]
    #[schemars(length(max = 254))]
    pub(crate) email: String,
    /// Must not be easy to guess.
    #[garde(custom(password_length))]
    #[schemars(with = "String", length(max = 128))]
    pub(crate) password: Secret<String>,
    /// How others see the person.
    #[garde(custom(text(2, 100)))]
    #[schemars(length(min = 2, max = 100))]
    pub(crate) display_name: String,
}

fn sign_up_example() -> Value {
    json!({ "email": "ada@example.org", "password": "seven otters juggle", "displayName": "Ada Lovelace" })
}

/// Who wants to log in.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "login_example")]
pub(crate) struct Login {
    /// As at sign-up.
    #[garde(custom(text(1, EMAIL_MAX)))]
    #[schemars(length(max = 254))]
    pub(crate) email: String,
    /// As at sign-up.
    #[garde(custom(password_length))]
    #[schemars(with = "String", length(max = 128))]
    pub(crate) password: Secret<String>,
}

fn login_example() -> Value {
    json!({ "email": "ada@example.org", "password": "seven otters juggle" })
}

/// A token that lets its bearer act as the account.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessToken {
    /// Goes into the header `Authorization: Bearer ...`.
    pub(crate) access_token: String,
    /// Always `Bearer`.
    pub(crate) token_type: TokenType,
    /// Seconds until it expires.
    pub(crate) expires_in: u64,
}

/// How the token is used.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) enum TokenType {
    Bearer,
}

/// A person who can log in.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    /// Its name for ever.
    pub(crate) id: Uuid,
    /// In lower case.
    pub(crate) email: String,
    /// How others see the person.
    pub(crate) display_name: String,
    /// When they signed up.
    pub(crate) created_at: DateTime<Utc>,
}

impl From<entity::account::Model> for Account {
    fn from(account: entity::account::Model) -> Self {
        Self {
            id: account.id.0,
            email: account.email,
            display_name: account.display_name,
            created_at: account.created_at,
        }
    }
}

impl From<CurrentAccount> for Account {
    fn from(account: CurrentAccount) -> Self {
        Self {
            id: account.id.0,
            email: account.email,
            display_name: account.display_name,
            created_at: account.created_at,
        }
    }
}

/// Only the mail server knows whether an address is one; this keeps out what certainly is not.
pub(crate) fn email_address(value: &str, (): &()) -> garde::Result {
    let value = normalise_email(value);
    let plausible = value.chars().count() <= EMAIL_MAX
        && !value.chars().any(|c| c.is_whitespace() || c.is_control())
        && value.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.contains('@') && !domain.split('.').any(str::is_empty)
        });
    if plausible { Ok(()) } else { Err(garde::Error::new("must be an e-mail address")) }
}

fn password_length(value: &Secret<String>, (): &()) -> garde::Result {
    match value.expose().chars().count() {
        1..=password::MAX => Ok(()),
        _ => Err(garde::Error::new(format!("must have 1 to {} characters", password::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::email_address;

    #[test]
    fn only_what_can_be_an_address_is_taken() {
        for good in ["ada@example.org", " Ada@Example.ORG ", "a+b@localhost", "ünï@exämple.org"] {
            assert!(email_address(good, &()).is_ok(), "{good}");
        }
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in ["", "ada", "@example.org", "ada@", "a@b@c", "a b@c.org", "a@b..org", "a\0@b.org", &long] {
            assert!(email_address(bad, &()).is_err(), "{bad}");
        }
    }
}
