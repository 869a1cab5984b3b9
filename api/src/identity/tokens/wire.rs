//! What the operations on API tokens take and give.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{domain::role::Permission, entity, secret::Secret};
use schemars::{
    JsonSchema,
    r#gen::SchemaGenerator,
    schema::{InstanceType, Schema, SchemaObject},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::service::CreateTokenCommand;
use crate::{auth::password, http::validation::text};

/// A new token.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "create_example")]
pub struct CreateToken {
    /// What it is for.
    #[garde(custom(text(1, 100)))]
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// What it allows, as far as the account's role does.
    #[garde(length(min = 1, max = 100), inner(custom(known)))]
    #[schemars(schema_with = "permissions")]
    pub permissions: Vec<String>,
    /// Where it is good; absent: in all workspaces of the account, also those it joins later.
    #[garde(length(min = 1, max = 100))]
    #[schemars(length(min = 1, max = 100))]
    pub workspaces: Option<Vec<Uuid>>,
    /// When it ends by itself: at most a year from now.
    #[garde(skip)]
    pub expires_at: DateTime<Utc>,
    /// The account's: what outlives a session takes more than a session.
    #[garde(custom(password::length))]
    #[schemars(with = "String", length(max = 128))]
    pub password: Secret<String>,
    /// Where there is a second factor: six digits from the app, or a recovery code.
    #[garde(inner(custom(text(6, 32))))]
    #[schemars(length(min = 6, max = 32))]
    pub code: Option<String>,
}

impl From<CreateToken> for CreateTokenCommand {
    fn from(body: CreateToken) -> Self {
        let mut permissions = body.permissions;
        permissions.sort_unstable();
        permissions.dedup();
        Self {
            name: body.name.trim().to_owned(),
            permissions,
            workspaces: body.workspaces,
            expires_at: body.expires_at,
        }
    }
}

fn create_example() -> Value {
    json!({
        "name": "Nightly import", "permissions": ["files.read", "files.write"], "expiresAt": "2027-06-30T00:00:00Z",
        "password": "seven otters juggle"
    })
}

fn known(name: &str, (): &()) -> garde::Result {
    let known = Permission::ALL.iter().any(|permission| permission.name() == name);
    if known { Ok(()) } else { Err(garde::Error::new("there is no such permission")) }
}

fn permissions(_: &mut SchemaGenerator) -> Schema {
    let names = Permission::ALL.iter().map(|permission| permission.name().into()).collect();
    let one = SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        enum_values: Some(names),
        ..SchemaObject::default()
    };
    serde_json::from_value(json!({ "type": "array", "minItems": 1, "items": one })).expect("a schema")
}

/// An API token, without the token itself.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// Its name for ever.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// The last characters of the token.
    pub hint: String,
    /// What it allows, as far as the account's role does.
    #[schemars(schema_with = "permissions")]
    pub permissions: Vec<String>,
    /// Where it is good; absent: in all workspaces of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspaces: Option<Vec<Uuid>>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// When it was last used, give or take a few seconds; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<DateTime<Utc>>,
}

impl From<entity::api_token::Model> for Token {
    fn from(token: entity::api_token::Model) -> Self {
        Self {
            id: token.id.0,
            name: token.name,
            hint: token.hint,
            permissions: token.permissions,
            workspaces: token.workspaces,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

/// An API token that was created just now.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct NewToken {
    /// Goes into the header `Authorization: Bearer ...`; shown this once.
    pub secret: String,
    /// What is known of it from now on.
    pub token: Token,
}

/// The path of a token.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct TokenPath {
    /// The token's id.
    pub token: Uuid,
}
