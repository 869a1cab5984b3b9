//! What the activity log looks like on the wire.

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
    schema::{InstanceType, Schema, SchemaObject},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::http::pagination::default_limit;

/// Something that somebody did.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// Its place in the workspace's log: 1, 2, 3 and so on. Absent in an account's own, which is part of a longer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// Its name for ever.
    pub id: Uuid,
    /// When it was done.
    pub created_at: DateTime<Utc>,
    /// Who did it.
    pub actor: ActivityActor,
    /// What was done.
    #[serde(rename = "type")]
    #[schemars(schema_with = "actions")]
    pub action: String,
    /// What it was done to.
    pub object: ActivityObject,
    /// `x-request-id` of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The address that the request came from, until the account is erased; where nobody was signed in and no account was named, its network only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What else there is to know; depends on the type.
    pub details: Value,
    /// Hexadecimal keyed hash of this entry and of the seal before it; stands with `seq`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
}

/// Who did something.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActivityActor {
    /// `account`, `token` (an API token of the account) or `system`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The account; it may have been erased since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<Uuid>,
    /// The API token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<Uuid>,
}

/// What something was done to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ActivityObject {
    /// What it is: the part of `type` before the dot.
    pub kind: String,
    /// Its id; it may be gone.
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

/// Without the login name and host of an operator, which are nothing to tenants.
fn details(stored: &str) -> Value {
    let mut details: Value = serde_json::from_str(stored).unwrap_or_default();
    if let Some(details) = details.as_object_mut() {
        details.remove(OPERATOR_DETAIL);
    }
    details
}

/// Whose log is read.
#[derive(Clone, Copy, Debug)]
pub enum Log {
    Workspace(WorkspaceId),
    /// The part of the log of accounts that is about one.
    Account(AccountId),
}

impl Log {
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

    /// An entry as its reader may see it. Places in the log of accounts would tell how busy all the others are.
    pub fn entry(self, entry: Model) -> Activity {
        let activity = Activity::from(entry);
        match self {
            Self::Workspace(_) => activity,
            Self::Account(_) => Activity { seq: None, seal: None, ..activity },
        }
    }
}

/// Which entries, and which part of them.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ListQuery {
    /// Only what this account did, itself or through its API tokens.
    actor: Option<Uuid>,
    /// Only what is of this type.
    #[serde(rename = "type")]
    action: Option<ActionName>,
    /// Only what was done at this time or later.
    #[garde(inner(custom(storable)))]
    since: Option<DateTime<Utc>>,
    /// Only what was done before this time.
    #[garde(inner(custom(storable)))]
    until: Option<DateTime<Utc>>,
    /// Most items in the answer.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    pub limit: u32,
    /// `nextCursor` of the page before; absent for the first page.
    pub cursor: Option<String>,
}

/// Which entries, in which form.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ExportQuery {
    /// Only what this account did, itself or through its API tokens.
    actor: Option<Uuid>,
    /// Only what is of this type.
    #[serde(rename = "type")]
    action: Option<ActionName>,
    /// Only what was done at this time or later.
    #[garde(inner(custom(storable)))]
    since: Option<DateTime<Utc>>,
    /// Only what was done before this time.
    #[garde(inner(custom(storable)))]
    until: Option<DateTime<Utc>>,
    /// `csv`, or `jsonl`: one JSON object in each line.
    #[serde(default)]
    pub format: Format,
}

/// The form of an export.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values, with a header.
    Csv,
    /// JSON Lines.
    #[default]
    Jsonl,
}

impl Format {
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/jsonl",
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

/// PostgreSQL knows fewer years than RFC 3339 is read with here.
fn storable(time: &DateTime<Utc>, (): &()) -> garde::Result {
    if (1970..=9999).contains(&time.year()) {
        Ok(())
    } else {
        Err(garde::Error::new("must be of the years 1970 to 9999"))
    }
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
    fn the_documentation_lists_every_type() {
        let documentation = include_str!("../../../../docs/API.md");
        let listed: Vec<_> = Action::ALL.iter().map(|action| action.name()).collect();
        for name in listed {
            assert!(documentation.contains(&format!("`{name}`")), "docs/API.md does not explain {name}");
        }
    }
}
