//! Requests and responses of the activity operations.

use apistos::ApiComponent;
use chrono::{DateTime, Datelike, Utc};
use garde::Validate;
use nvisy_shared::{
    domain::activity::{Action, OPERATOR_DETAIL, UnknownAction},
    entity::activity::Model,
    id::{AccountId, WorkspaceId},
    store::activity::{ACCOUNT_CHAIN, ActivityFilter},
};
use schemars::{
    JsonSchema,
    r#gen::SchemaGenerator,
    schema::{InstanceType, Metadata, Schema, SchemaObject},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::http::{attachment::JSON_LINES, pagination::default_limit, string_schema::Opaque};

/// An entry of an activity log.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// The entry's number in the workspace's log, from 1, without gaps. Absent in the log of an account, which is part of a shared log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The entry's id.
    pub id: Uuid,
    /// The time of the action.
    pub created_at: DateTime<Utc>,
    /// The actor.
    pub actor: ActivityActor,
    /// The action.
    #[serde(rename = "type")]
    #[schemars(schema_with = "actions")]
    pub action: String,
    /// The object of the action.
    pub object: ActivityObject,
    /// `x-request-id` of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The IP address of the request; removed when the account is erased. For requests without a session and without a known account, the IP prefix only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Further details, which depend on the type.
    pub details: Value,
    /// The MAC of this entry and of the previous entry's `seal`, in hexadecimal; present with `seq`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
}

/// The actor of an activity.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActivityActor {
    /// `account`, `token` (an API token of the account) or `system`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The account, which may have been erased since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<Uuid>,
    /// The API token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<Uuid>,
}

/// The object of an activity.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ActivityObject {
    /// The kind: the part of `type` before the dot.
    pub kind: String,
    /// The id of the object, which may have been deleted since.
    pub id: Uuid,
}

impl From<Model> for Activity {
    fn from(entry: Model) -> Self {
        Self {
            seq: Some(entry.seq),
            id: entry.id.0,
            created_at: entry.created_at,
            actor: ActivityActor {
                kind: entry.actor,
                account_id: entry.account_id.map(|id| id.0),
                token_id: entry.token_id.map(|id| id.0),
            },
            action: entry.action,
            object: ActivityObject { kind: entry.object_kind, id: entry.object_id },
            request_id: entry.request_id,
            address: entry.address,
            details: details(&entry.details),
            seal: Some(hex::encode(entry.mac)),
        }
    }
}

/// The details, without the login name and host of an operator, which tenants must not see.
fn details(stored: &str) -> Value {
    let mut details: Value = serde_json::from_str(stored).unwrap_or_default();
    if let Some(details) = details.as_object_mut() {
        details.remove(OPERATOR_DETAIL);
    }
    details
}

/// The log of a workspace or of an account.
#[derive(Clone, Copy, Debug)]
pub enum ActivityLog {
    Workspace(WorkspaceId),
    /// The entries about one account in the accounts' log.
    Account(AccountId),
}

impl ActivityLog {
    pub const fn chain(self) -> WorkspaceId {
        match self {
            Self::Workspace(workspace) => workspace,
            Self::Account(_) => ACCOUNT_CHAIN,
        }
    }

    pub const fn filter(self, filter: ActivityFilter) -> ActivityFilter {
        match self {
            Self::Workspace(_) => filter,
            Self::Account(account) => ActivityFilter { about: Some(account), ..filter },
        }
    }

    /// An entry for the response. Sequence numbers of the accounts' log would reveal the activity of other accounts.
    pub fn entry(self, entry: Model) -> Activity {
        let activity = Activity::from(entry);
        match self {
            Self::Workspace(_) => activity,
            Self::Account(_) => Activity { seq: None, seal: None, ..activity },
        }
    }
}

/// Filters and page of a list of activities.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ListQuery {
    /// Only actions of this account or its API tokens.
    actor: Option<Uuid>,
    /// Only actions of this type.
    #[serde(rename = "type")]
    action: Option<ActionName>,
    /// Only actions at this time or later.
    #[garde(inner(custom(storable)))]
    since: Option<DateTime<Utc>>,
    /// Only actions before this time.
    #[garde(inner(custom(storable)))]
    until: Option<DateTime<Utc>>,
    /// The largest number of items in the response.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    pub limit: u32,
    /// `nextCursor` of the previous page; absent for the first page.
    #[schemars(with = "Option<Opaque>")]
    pub cursor: Option<String>,
}

/// Filters and format of an export.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ExportQuery {
    /// Only actions of this account or its API tokens.
    actor: Option<Uuid>,
    /// Only actions of this type.
    #[serde(rename = "type")]
    action: Option<ActionName>,
    /// Only actions at this time or later.
    #[garde(inner(custom(storable)))]
    since: Option<DateTime<Utc>>,
    /// Only actions before this time.
    #[garde(inner(custom(storable)))]
    until: Option<DateTime<Utc>>,
    /// The format: `csv`, or `jsonl` with one JSON object per line.
    #[serde(default)]
    #[schemars(schema_with = "formats")]
    pub format: ExportFormat,
}

/// The format of an export.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// Comma-separated values, with a header.
    Csv,
    /// JSON Lines.
    #[default]
    Jsonl,
}

impl ExportFormat {
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => JSON_LINES,
        }
    }
}

/// The name of an action.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct ActionName(Action);

impl TryFrom<String> for ActionName {
    type Error = UnknownAction;

    fn try_from(name: String) -> Result<Self, UnknownAction> {
        name.parse().map(Self)
    }
}

impl JsonSchema for ActionName {
    fn schema_name() -> String {
        "ActivityType".to_owned()
    }

    fn is_referenceable() -> bool {
        false
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        actions(generator)
    }
}

fn actions(_: &mut SchemaGenerator) -> Schema {
    SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        enum_values: Some(Action::ALL.iter().map(|action| action.name().into()).collect()),
        ..SchemaObject::default()
    }
    .into()
}

/// Inline, as the parameter's own schema.
fn formats(_: &mut SchemaGenerator) -> Schema {
    let formats = [ExportFormat::Csv, ExportFormat::Jsonl];
    SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        enum_values: Some(formats.map(|format| format.extension().into()).into()),
        metadata: Some(Box::new(Metadata {
            default: Some(ExportFormat::default().extension().into()),
            ..Metadata::default()
        })),
        ..SchemaObject::default()
    }
    .into()
}

impl ListQuery {
    pub fn filter(&self) -> ActivityFilter {
        filter(self.actor, self.action, self.since, self.until)
    }
}

impl ExportQuery {
    pub fn filter(&self) -> ActivityFilter {
        filter(self.actor, self.action, self.since, self.until)
    }
}

/// Rejects years that RFC 3339 does not have, which the decoder accepts and PostgreSQL may not.
fn storable(time: &DateTime<Utc>, (): &()) -> garde::Result {
    if (0..=9999).contains(&time.year()) { Ok(()) } else { Err(garde::Error::new("must be in the years 0 to 9999")) }
}

fn filter(
    actor: Option<Uuid>,
    action: Option<ActionName>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
) -> ActivityFilter {
    ActivityFilter { account: actor.map(AccountId), about: None, action: action.map(|action| action.0), since, until }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_lists_every_activity_type() {
        let documentation = include_str!("../../../../docs/API.md");
        let listed: Vec<_> = Action::ALL.iter().map(|action| action.name()).collect();
        for name in listed {
            assert!(documentation.contains(&format!("`{name}`")), "docs/API.md does not explain {name}");
        }
    }
}
