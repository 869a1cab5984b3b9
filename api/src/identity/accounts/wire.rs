//! Requests and responses of the account operations.

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
    auth::{account::CurrentAccount, password::Password},
    http::{
        status_json::{Accepted, Created},
        string_schema::{Email, Opaque, Text},
        validation::{email_address, opaque, text},
    },
    identity::wire::Mailed,
};

/// A request for a new account.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "sign_up_example")]
pub struct SignUp {
    /// The e-mail address, which is also the login name; case does not matter.
    #[garde(custom(email_address))]
    #[schemars(with = "Email")]
    pub email: String,
    /// The new password; one that is easy to guess is rejected.
    #[garde(dive)]
    pub password: Password,
    /// The name that other members see.
    #[garde(custom(text(2, 100)))]
    #[schemars(with = "Text<2, 100>")]
    pub display_name: String,
    /// The code of an invite to this address, or of `nvisy-api allow-sign-up`, where the server restricts sign-up;
    /// otherwise ignored.
    #[garde(inner(custom(opaque)))]
    #[schemars(with = "Option<Opaque>")]
    pub invite_code: Option<Secret<String>>,
}

fn sign_up_example() -> Value {
    json!({
        "email": "ada@example.org", "password": "seven otters juggle", "displayName": "Ada Lovelace",
        "inviteCode": "nvisy_invite_Zm9yIGV4YW1wbGUgb25seSwgYWNjZXB0cyBub3RoaW5n"
    })
}

impl From<SignUp> for SignUpCommand {
    fn from(body: SignUp) -> Self {
        Self {
            email: normalise_email(&body.email),
            password: body.password.into_secret(),
            display_name: body.display_name.trim().to_owned(),
            invite_code: body.invite_code,
        }
    }
}

/// The response to a sign-up.
pub enum SignedUp {
    /// The account was created.
    Created(Created<Account>),
    /// A mail was queued; its link creates the account.
    Mailed(Accepted<Mailed>),
}

impl Responder for SignedUp {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self {
            Self::Created(response) => response.respond_to(request),
            Self::Mailed(response) => response.respond_to(request),
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

/// The token of a sign-up link, and the password of the sign-up.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "confirm_example")]
pub struct ConfirmSignUp {
    /// The part of the link after `#token=`.
    #[garde(skip)]
    #[schemars(with = "Opaque")]
    pub token: Secret<String>,
    /// The password of the sign-up.
    #[garde(dive)]
    pub password: Password,
}

fn confirm_example() -> Value {
    json!({ "token": "Zm9yIGV4YW1wbGUgb25seSwgb3BlbnMgbm90aGluZywgYW5kIG5vIGRvb3I", "password": "seven otters juggle" })
}

/// The changes; absent fields keep their value.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateAccount {
    /// The name that other members see.
    #[garde(inner(custom(text(2, 100))))]
    #[schemars(with = "Option<Text<2, 100>>")]
    pub display_name: Option<String>,
}

/// A change of password.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangePassword {
    /// The current password.
    #[garde(dive)]
    pub current_password: Password,
    /// The new password; one that is easy to guess is rejected.
    #[garde(dive)]
    pub new_password: Password,
}

/// The password, to confirm the operation.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Confirmation {
    /// The account's password.
    #[garde(dive)]
    pub password: Password,
}

/// A requested deletion.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// The time at which the account is erased; logging in before cancels the deletion.
    pub erase_at: DateTime<Utc>,
}

/// The account of a person.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The account's id.
    pub id: Uuid,
    /// The e-mail address, in lower case.
    #[schemars(with = "Email")]
    pub email: String,
    /// The name that other members see.
    pub display_name: String,
    /// Whether the e-mail address is verified.
    #[serde(default)]
    pub email_verified: bool,
    /// The time of the sign-up.
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
