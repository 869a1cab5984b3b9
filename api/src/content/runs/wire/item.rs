//! Items with their progress, and their logs.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use nvisy_shared::{entity, pipeline::progress, store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::identifiers::{ItemState, LogKind};
use crate::problem::Problem;

/// An item: one version of a file in a run.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RunItem")]
pub struct Item {
    /// The item's id.
    pub id: Uuid,
    /// The id of the run.
    pub run_id: Uuid,
    /// The id of the file.
    pub file_id: Uuid,
    /// The id of the file's version.
    pub version_id: Uuid,
    /// The id of the item that this one is a member of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<Uuid>,
    /// The state.
    pub state: ItemState,
    /// The current step, of an item that is queued or running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ItemProgress>,
    /// Why the item waits, where a member or an operator can remedy it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<ItemWaiting>,
    /// What each node did, by the ids of the nodes.
    pub nodes: Vec<NodeProgress>,
    /// Why the item failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<ItemFailure>,
    /// Outputs of nodes that were found by their content.
    pub reused: i32,
    /// Outputs of nodes that were computed.
    pub recomputed: i32,
    /// Tokens that models were given.
    pub tokens: i64,
    /// Tokens whose results were found.
    pub tokens_saved: i64,
    /// The time at which the item entered.
    pub created_at: DateTime<Utc>,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
    /// The time of the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
}

/// Why an item waits.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemWaiting {
    /// The reason, such as the message of a provider.
    pub reason: String,
    /// The time of the next attempt; the wait costs none.
    pub until: DateTime<Utc>,
}

/// How far an item is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemProgress {
    /// The first node of the step.
    pub stage: String,
    /// The finished units of the step.
    pub done: i32,
    /// All units of the step, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i32>,
}

/// What a node did for an item.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeProgress {
    /// The node's id.
    pub node: String,
    /// The elements that it gave, by output.
    pub outputs: Vec<OutputProgress>,
    /// The milliseconds that its calls took together.
    pub millis: u64,
    /// Whether its output was found by its content.
    pub reused: bool,
    /// Tokens that it gave models.
    pub tokens: u64,
    /// Tokens of it whose results were found.
    pub tokens_saved: u64,
}

/// What a node gave at an output.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputProgress {
    /// The name of the output.
    pub port: String,
    /// The number of elements.
    pub elements: u64,
    /// The tokens of the chunks; absent of other elements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

/// Why an item failed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    /// The node's id; absent if the failure belongs to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The reason, for machines, as of files.
    pub code: String,
    /// The reason, for people.
    pub detail: String,
    /// The attempt, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i32>,
}

/// The progress that is stored with an item.
pub fn read_progress(row: &entity::run_item::Model) -> Result<progress::Progress, Problem> {
    serde_json::from_value(row.progress.clone()).map_err(Problem::internal)
}

impl Item {
    /// With why it waits, if it does.
    pub fn waiting(mut self, waits: &[store::job_wait::ItemWait]) -> Self {
        let wait = waits.iter().find(|wait| wait.item_id.0 == self.id);
        self.waiting = wait.map(|wait| ItemWaiting { reason: wait.reason.clone(), until: wait.until });
        self
    }
}

impl From<entity::run_item::Model> for Item {
    fn from(row: entity::run_item::Model) -> Self {
        let nodes = read_progress(&row).map(|progress| progress.nodes).unwrap_or_default();
        let (stage, done, total) = (row.stage, row.done, row.total);
        let (node, attempt) = (row.failure_node, row.failure_attempt);
        let detail = row.failure_detail.unwrap_or_default();
        let failure =
            row.failure_code.map(|code| ItemFailure { node, code: code.as_str().to_owned(), detail, attempt });
        Self {
            id: row.id.0,
            run_id: row.run_id.0,
            file_id: row.file_id.0,
            version_id: row.version_id.0,
            parent_id: row.parent_id.map(Into::into),
            state: ItemState(row.state),
            progress: row.state.is_open().then_some(ItemProgress { stage, done, total }),
            waiting: None,
            nodes: nodes.into_iter().map(|(node, did)| NodeProgress::new(node, did)).collect(),
            failure,
            reused: row.reused,
            recomputed: row.recomputed,
            tokens: row.tokens,
            tokens_saved: row.tokens_saved,
            created_at: row.created_at,
            updated_at: row.updated_at,
            finished_at: row.finished_at,
        }
    }
}

impl NodeProgress {
    fn new(node: String, did: progress::NodeProgress) -> Self {
        let progress::NodeProgress { elements, chunk_tokens, millis, reused, tokens, tokens_saved } = did;
        let output = |(port, elements)| {
            let tokens = chunk_tokens.get(&port).copied();
            OutputProgress { port, elements, tokens }
        };
        let outputs = elements.into_iter().map(output).collect();
        Self { node, outputs, millis, reused, tokens, tokens_saved }
    }
}

/// An entry of an item's log.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RunItemLogEntry")]
pub struct LogEntry {
    /// The entry's id.
    pub id: Uuid,
    /// The kind.
    pub kind: LogKind,
    /// The node's id, where the entry is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// One sentence.
    pub detail: String,
    /// The code of the failure, where the entry is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The member of the item's file that the entry is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The time.
    pub created_at: DateTime<Utc>,
}

impl From<entity::run_item_log::Model> for LogEntry {
    fn from(row: entity::run_item_log::Model) -> Self {
        Self {
            id: row.id.0,
            kind: LogKind(row.kind),
            node: row.node,
            detail: row.detail,
            code: row.code.map(|code| code.as_str().to_owned()),
            path: row.path,
            created_at: row.created_at,
        }
    }
}
