//! Requests and responses of the member operations.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::store;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{http::string_schema::Email, workspaces::wire::MemberRole};

/// The path of a member.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct MemberPath {
    /// The id of the member's account.
    pub account: Uuid,
}

/// A member of a workspace.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Member")]
pub struct MemberView {
    /// The id of the member's account.
    pub account_id: Uuid,
    /// The name that other members see.
    pub display_name: String,
    /// The member's e-mail address.
    #[schemars(with = "Email")]
    pub email: String,
    /// The member's role.
    pub role: MemberRole,
    /// The time at which the member joined.
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

/// A change of a member's role.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "change_example")]
pub struct ChangeMember {
    /// The new role, at most the caller's own.
    #[garde(skip)]
    pub role: MemberRole,
}

fn change_example() -> Value {
    json!({ "role": "admin" })
}

/// A transfer of a workspace.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "transfer_example")]
pub struct Transfer {
    /// The account of the member who becomes an owner.
    #[garde(skip)]
    pub account_id: Uuid,
}

fn transfer_example() -> Value {
    json!({ "accountId": "019ab1c2-5f0a-7d10-8c7e-0f6f5b1f2a01" })
}
