//! What the account operations take and give.

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody};
use apistos::{ApiComponent, Schema, paths::Responses, reference_or::ReferenceOr};
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
    http::{
        status_json::{Accept, Created},
        validation::{is_hidden, text},
    },
    identity::mail_links::wire::Mailed,
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

/// What came of a sign-up.
pub enum SignedUp {
    /// There is an account.
    Created(Created<Account>),
    /// There is a mail, and whoever gets it decides.
    Mailed(Accept<Mailed>),
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
        responses.responses.extend(Accept::<Mailed>::responses(content_type)?.responses);
        Some(responses)
    }
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

/// Only the mail server knows whether an address is one; this keeps out what certainly is not, and what can be taken for
/// another: members see each other's addresses.
pub fn email_address(value: &str, (): &()) -> garde::Result {
    // Before they are gone: a domain is compared without what is not seen in it.
    if value.chars().any(is_ignorable) {
        return Err(garde::Error::new("invisible characters are not allowed"));
    }
    let value = normalise_email(value);
    let Some((local, domain)) = value.rsplit_once('@') else {
        return Err(garde::Error::new("must be an e-mail address"));
    };
    if !local.is_ascii() {
        // No mail goes there without SMTPUTF8, which is not offered; and other scripts have the same letters.
        return Err(garde::Error::new("must have only ASCII letters before the @"));
    }
    let plausible = value.chars().count() <= EMAIL_MAX
        && !local.is_empty()
        && !local.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control() || byte == b'@')
        && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && !domain.split('.').any(str::is_empty);
    if plausible { Ok(()) } else { Err(garde::Error::new("must be an e-mail address")) }
}

/// What Unicode says may be left out when text is shown (Default_Ignorable_Code_Point), and the rest of its format
/// characters.
fn is_ignorable(c: char) -> bool {
    is_hidden(c)
        || matches!(c,
            '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::email_address;

    #[test]
    fn only_what_can_be_an_address_is_taken() {
        for good in ["ada@example.org", " Ada@Example.ORG ", "a+b@localhost", "ada@exämple.org", "ａda＠例え.jp"] {
            assert!(email_address(good, &()).is_ok(), "{good}");
        }
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in
            ["", "ada", "@example.org", "ada@", "a@b@c", "a b@c.org", "a@b..org", "a\0@b.org", "a@b/c", "a@b,c", &long]
        {
            assert!(email_address(bad, &()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_looks_like_another_address_is_not_taken() {
        for bad in [
            "ceo\u{200b}@bank.com",
            "ceo\u{ad}@bank.com",
            "ceo\u{2060}@bank.com",
            "\u{202e}ceo@bank.com",
            "\u{feff}ceo@bank.com",
            "ceo@ba\u{ad}nk.com",
            "ceo@ba\u{200d}nk.com",
            "ceo@bank\u{e0061}.com",
            "\u{430}da@bank.com",
            "ünï@bank.com",
        ] {
            assert!(email_address(bad, &()).is_err(), "{bad:?}");
        }
    }
}
