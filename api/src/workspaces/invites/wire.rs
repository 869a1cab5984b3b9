//! Requests and responses of the invite operations.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{domain::account::normalise_email, entity, secret::Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::service::CreateInviteCommand;
use crate::{
    http::{
        string_schema::{Email, Opaque},
        validation::email_address,
    },
    workspaces::wire::MemberRole,
};

/// The path of an invite.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct InvitePath {
    /// The invite's id.
    pub invite: Uuid,
}

/// A request for an invite.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "create_example")]
pub struct CreateInvite {
    /// The address of the only account that can use the invite; absent: any account with the code.
    #[garde(inner(custom(email_address)))]
    #[schemars(with = "Option<Email>")]
    pub email: Option<String>,
    /// The role of the new member, at most the caller's own.
    #[garde(skip)]
    pub role: MemberRole,
    /// The lifetime of the invite in days.
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

/// A pending invite.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Invite {
    /// The invite's id.
    pub id: Uuid,
    /// The address of the invited account; absent: any account with the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Email>")]
    pub email: Option<String>,
    /// The role of the new member.
    pub role: MemberRole,
    /// The account that created the invite; absent if it has been erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited_by: Option<Uuid>,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
    /// The time of expiry.
    pub expires_at: DateTime<Utc>,
    /// Whether the code is sent by mail; otherwise the response contains it. Present only in the response to the creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailed: Option<bool>,
    /// The code that accepts or declines the invite. Present only in the response to the creation of an invite that is not
    /// mailed.
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
    /// The code from the mail or from the response to the creation.
    #[garde(skip)]
    #[schemars(with = "Opaque")]
    pub code: Secret<String>,
}

fn code_example() -> Value {
    json!({ "code": "nvisy_invite_Zm9yIGV4YW1wbGUgb25seSwgYWNjZXB0cyBub3RoaW5n" })
}
