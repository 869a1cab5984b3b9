//! What the account operations take and give.

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody};
use apistos::{ApiComponent, Schema, paths::Responses, reference_or::ReferenceOr};
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{domain::account::normalise_email, entity, secret::Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::service::SignUpCommand;
use crate::{
    auth::{account::CurrentAccount, password},
    http::{
        status_json::{Accepted, Created},
        validation::{email_address, text},
    },
    identity::wire::Mailed,
};

/// A new account.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "sign_up_example")]
pub struct SignUp {
    /// Where the person is reached, and what they log in with; upper and lower case are the same.
    #[garde(custom(email_address))]
    #[schemars(length(max = 254))]
    pub email: String,
    /// Must not be easy to guess.
    #[garde(custom(password::length))]
    #[schemars(with = "String", length(max = 128))]
    pub password: Secret<String>,
    /// How others see the person.
    #[garde(custom(text(2, 100)))]
    #[schemars(length(min = 2, max = 100))]
    pub display_name: String,
    /// The code of an invite to this address, where not everybody may sign up; else it is not looked at.
    #[garde(skip)]
    #[schemars(with = "Option<String>")]
    pub invite_code: Option<Secret<String>>,
}

fn sign_up_example() -> Value {
    json!({ "email": "ada@example.org", "password": "seven otters juggle", "displayName": "Ada Lovelace" })
}

impl From<SignUp> for SignUpCommand {
    fn from(body: SignUp) -> Self {
        Self {
            email: normalise_email(&body.email),
            password: body.password,
            display_name: body.display_name.trim().to_owned(),
            invite_code: body.invite_code,
        }
    }
}

/// The response to a sign-up.
pub enum SignedUp {
    /// There is an account.
    Created(Created<Account>),
    /// There is a mail, and whoever gets it decides.
    Mailed(Accepted<Mailed>),
}

impl Responder for SignedUp {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self {
            Self::Created(answer) => answer.respond_to(request),
            Self::Mailed(answer) => answer.respond_to(request),
        }
    }
}

impl ApiComponent for SignedUp {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        Account::child_schemas().into_iter().chain(Mailed::child_schemas()).chain(Mailed::schema()).collect()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        Account::schema()
    }

    fn responses(content_type: Option<String>) -> Option<Responses> {
        let mut responses = Created::<Account>::responses(content_type.clone())?;
        responses.responses.extend(Accepted::<Mailed>::responses(content_type)?.responses);
        Some(responses)
    }
}

/// The link of a sign-up's mail, and the password of the sign-up.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfirmSignUp {
    /// The part of the link after `#token=`.
    #[garde(skip)]
    #[schemars(with = "String")]
    pub token: Secret<String>,
    /// The password that was given at sign-up.
    #[garde(custom(password::length))]
    #[schemars(with = "String", length(max = 128))]
    pub password: Secret<String>,
}

/// What to change; what is absent stays.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateAccount {
    /// How others see the person.
    #[garde(inner(custom(text(2, 100))))]
    #[schemars(length(min = 2, max = 100))]
    pub display_name: Option<String>,
}

/// A new password, asked for by whoever knows the old one.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangePassword {
    /// The one to be replaced.
    #[garde(custom(password::length))]
    #[schemars(with = "String", length(max = 128))]
    pub current_password: Secret<String>,
    /// Must not be easy to guess.
    #[garde(custom(password::length))]
    #[schemars(with = "String", length(max = 128))]
    pub new_password: Secret<String>,
}

/// The password, to make sure that it is the person who asks.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Confirmation {
    /// The account's.
    #[garde(custom(password::length))]
    #[schemars(with = "String", length(max = 128))]
    pub password: Secret<String>,
}

/// An account on its way out.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// Until then logging in takes the deletion back; then the account is erased.
    pub erase_at: DateTime<Utc>,
}

/// A person who can log in.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Its name for ever.
    pub id: Uuid,
    /// In lower case.
    pub email: String,
    /// How others see the person.
    pub display_name: String,
    /// Whether mail to the address is known to reach them.
    #[serde(default)]
    pub email_verified: bool,
    /// When they signed up.
    pub created_at: DateTime<Utc>,
}

impl From<entity::account::Model> for Account {
    fn from(account: entity::account::Model) -> Self {
        Self {
            id: account.id.0,
            email: account.email,
            display_name: account.display_name,
            email_verified: account.email_verified_at.is_some(),
            created_at: account.created_at,
        }
    }
}

impl From<&CurrentAccount> for Account {
    fn from(account: &CurrentAccount) -> Self {
        Self {
            id: account.id.0,
            email: account.email.clone(),
            display_name: account.display_name.clone(),
            email_verified: account.email_verified,
            created_at: account.created_at,
        }
    }
}
