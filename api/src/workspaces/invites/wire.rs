//! What the invite operations take and give.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{domain::account::normalise_email, entity, secret::Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::service::CreateInviteCommand;
use crate::{http::validation::email_address, workspaces::wire::Role};

/// Which invite.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct InvitePath {
    /// The invite's id.
    pub invite: Uuid,
}

/// Somebody to ask into a workspace.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "create_example")]
pub struct CreateInvite {
    /// Only an account with this address can use the invite; without it, whoever has the code.
    #[garde(inner(custom(email_address)))]
    #[schemars(length(max = 254))]
    pub email: Option<String>,
    /// At most the caller's own.
    #[garde(skip)]
    pub role: Role,
    /// How long it can be used.
    #[garde(range(min = 1, max = 30))]
    #[schemars(range(min = 1, max = 30))]
    #[serde(default = "default_days")]
    pub expires_in_days: u32,
}

const fn default_days() -> u32 {
    7
}

impl From<CreateInvite> for CreateInviteCommand {
    fn from(body: CreateInvite) -> Self {
        Self {
            email: body.email.as_deref().map(normalise_email),
            role: body.role.into(),
            expires_in_days: body.expires_in_days,
        }
    }
}

fn create_example() -> Value {
    json!({ "email": "grace@example.org", "role": "member" })
}

/// A standing invite.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Invite {
    /// Its name for ever.
    pub id: Uuid,
    /// Whom it is for; whoever has the code where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What they may do once they accept it.
    pub role: Role,
    /// Who made it; absent when that account is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited_by: Option<Uuid>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops being any good.
    pub expires_at: DateTime<Utc>,
    /// Told to whoever makes the invite: whether its code is on its way to the address by mail. Else the answer has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailed: Option<bool>,
    /// What accepts or declines it: to be given to the person. Shown to whoever makes an invite that is not mailed, and
    /// never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl From<entity::invite::Model> for Invite {
    fn from(invite: entity::invite::Model) -> Self {
        Self {
            id: invite.id.0,
            email: invite.email,
            role: invite.role.into(),
            invited_by: invite.invited_by.map(|id| id.0),
            created_at: invite.created_at,
            expires_at: invite.expires_at,
            mailed: None,
            code: None,
        }
    }
}

/// The code of an invite.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "code_example")]
pub struct InviteCode {
    /// As it was given to whoever made the invite.
    #[garde(skip)]
    #[schemars(with = "String")]
    pub code: Secret<String>,
}

fn code_example() -> Value {
    json!({ "code": "nvisy_invite_Zm9yIGV4YW1wbGUgb25seSwgYWNjZXB0cyBub3RoaW5n" })
}
