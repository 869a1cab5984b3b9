//! Requests and responses of the operations on API tokens.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{domain::role::Permission, entity};
use schemars::{
    JsonSchema,
    r#gen::SchemaGenerator,
    schema::{InstanceType, Schema, SchemaObject},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::service::CreateTokenCommand;
use crate::{
    auth::password::Password,
    http::{string_schema::Text, validation::text},
};

/// A request for an API token.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "create_example")]
pub struct CreateToken {
    /// A name that describes the token's use.
    #[garde(custom(text(1, 100)))]
    #[schemars(with = "Text<1, 100>")]
    pub name: String,
    /// The permissions; the account's role limits them further.
    #[garde(length(min = 1, max = 100), inner(custom(known_permission)))]
    #[schemars(schema_with = "permissions")]
    pub permissions: Vec<String>,
    /// The workspaces in which the token is valid; absent: all workspaces of the account, also those it joins later.
    #[garde(length(min = 1, max = 100))]
    #[schemars(length(min = 1, max = 100))]
    pub workspaces: Option<Vec<Uuid>>,
    /// The time of expiry, at most 366 days from now.
    #[garde(skip)]
    pub expires_at: DateTime<Utc>,
    /// The account's password: the token outlives the session, so the session alone is not enough.
    #[garde(dive)]
    pub password: Password,
    /// Six digits from the authenticator app, or a recovery code; required if the account has a second factor.
    #[garde(inner(custom(text(6, 32))))]
    #[schemars(with = "Option<Text<6, 32>>")]
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

fn known_permission(name: &str, (): &()) -> garde::Result {
    let known = Permission::ALL.iter().any(|permission| permission.name() == name);
    if known { Ok(()) } else { Err(garde::Error::new("is not a permission")) }
}

fn permissions(_: &mut SchemaGenerator) -> Schema {
    let names = Permission::ALL.iter().map(|permission| permission.name().into()).collect();
    let one = SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        enum_values: Some(names),
        ..SchemaObject::default()
    };
    serde_json::from_value(json!({ "type": "array", "minItems": 1, "maxItems": 100, "items": one })).expect("a schema")
}

/// An API token, without the token itself.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Token")]
pub struct ApiToken {
    /// The token's id.
    pub id: Uuid,
    /// A name that describes the token's use.
    pub name: String,
    /// The last characters of the token itself.
    pub hint: String,
    /// The permissions; the account's role limits them further.
    #[schemars(schema_with = "permissions")]
    pub permissions: Vec<String>,
    /// The workspaces in which the token is valid; absent: all workspaces of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspaces: Option<Vec<Uuid>>,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
    /// The time of expiry.
    pub expires_at: DateTime<Utc>,
    /// The time of last use, accurate to a few seconds; absent if the token has not been used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<DateTime<Utc>>,
}

impl From<entity::api_token::Model> for ApiToken {
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

/// A newly created API token.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "NewToken")]
pub struct CreatedApiToken {
    /// The token itself, for the header `Authorization: Bearer ...`; no other response contains it.
    pub secret: String,
    /// The token's metadata.
    pub token: ApiToken,
}

/// The path of a token.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct TokenPath {
    /// The token's id.
    pub token: Uuid,
}
