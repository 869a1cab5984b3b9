//! What the member operations take and give.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::store;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::workspaces::wire::Role;

/// Which member.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct MemberPath {
    /// The member's account.
    pub account: Uuid,
}

/// Somebody who belongs to a workspace.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Member")]
pub struct MemberView {
    /// Their account.
    pub account_id: Uuid,
    /// How others see them.
    pub display_name: String,
    /// Where they are reached.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// Since when they belong to it.
    pub joined_at: DateTime<Utc>,
}

impl From<store::member::MemberProfile> for MemberView {
    fn from(member: store::member::MemberProfile) -> Self {
        Self {
            account_id: member.account_id.0,
            display_name: member.display_name,
            email: member.email,
            role: member.role.into(),
            joined_at: member.created_at,
        }
    }
}

/// Another role for a member.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "change_example")]
pub struct ChangeMember {
    /// At most the caller's own.
    #[garde(skip)]
    pub role: Role,
}

fn change_example() -> Value {
    json!({ "role": "admin" })
}

/// Who is to own a workspace.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "transfer_example")]
pub struct Transfer {
    /// A member's account.
    #[garde(skip)]
    pub account_id: Uuid,
}

fn transfer_example() -> Value {
    json!({ "accountId": "019ab1c2-5f0a-7d10-8c7e-0f6f5b1f2a01" })
}
