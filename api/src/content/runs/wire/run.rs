//! Runs, with the counts of their syncs.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use nvisy_shared::{domain::failure::FailureCode, entity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::{
    identifiers::{RunState, RunTrigger},
    item::ItemWaiting,
};
use crate::http::string_schema::failure_codes;

/// A run: one execution of a version of a pipeline over files.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The run's id.
    pub id: Uuid,
    /// The state: `completed_with_errors` has failed items; `failed` ended before its items.
    pub state: RunState,
    /// The reason why it was started.
    pub trigger: RunTrigger,
    /// The id of the pipeline. A run with a definition of its own has a pipeline of its own, which no list shows.
    pub pipeline_id: Uuid,
    /// The number of the version of the pipeline's definition.
    pub pipeline_version: i32,
    /// Whether it stands behind all other work.
    pub low_priority: bool,
    /// The node from which on nothing was reused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recompute_from: Option<String>,
    /// The id of the run that it was forked from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin_run_id: Option<Uuid>,
    /// What the sources that are connections have listed; absent: the run lists none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncCounts>,
    /// Why the run waits, where a member or an operator can remedy it; in the response of `readRun`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<ItemWaiting>,
    /// Whether every file has entered.
    pub admitted: bool,
    /// The items that have entered.
    pub items: i32,
    /// Items that are queued or running.
    pub items_open: i32,
    /// Items that failed.
    pub items_failed: i32,
    /// Items of which nothing reached a sink.
    pub items_skipped: i32,
    /// Outputs of nodes that were found by their content, of items that have ended.
    pub reused: i64,
    /// Outputs of nodes that were computed, of items that have ended.
    pub recomputed: i64,
    /// Tokens that models were given, of items that have ended.
    pub tokens: i64,
    /// Tokens whose results were found, of items that have ended.
    pub tokens_saved: i64,
    /// The largest cost of calls of models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<f64>,
    /// Why the run ended before its items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<RunFailure>,
    /// The message about the end of the run; absent: no receiver was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<RunDelivery>,
    /// The id of the account that started it; absent for triggers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_by: Option<Uuid>,
    /// The time of the start.
    pub created_at: DateTime<Utc>,
    /// The time of the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
}

/// Objects of connections in a run.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncCounts {
    /// Whether the run only counts what would change.
    pub dry_run: bool,
    /// Objects that were listed.
    pub seen: i64,
    /// Objects that became files.
    pub new: i64,
    /// Objects that became new versions of files.
    pub changed: i64,
    /// Objects whose content is that of their file.
    pub unchanged: i64,
    /// Objects that are gone.
    pub deleted: i64,
    /// Objects that could not be read; `listFailedObjects` has the reasons.
    pub failed: i64,
    /// Objects that are still to be read.
    pub pending: i32,
}

/// The first objects of a sync that could not be read.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct FailedObjects {
    /// The objects, at most a thousand, by the ids of nodes and objects.
    pub items: Vec<FailedObject>,
}

/// An object of a connection that could not be read.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedObject {
    /// The id of the source in the definition.
    pub node: String,
    /// The id of the object in the connection.
    pub external_id: String,
    /// The reason, for machines.
    #[schemars(schema_with = "failure_codes")]
    pub code: FailureCode,
    /// The reason, for people.
    pub detail: String,
    /// The id of the file that has an earlier state of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<Uuid>,
}

/// How far the message about the end of a run is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunDelivery {
    /// The host of the receiver. The rest of the address may contain a secret.
    pub host: String,
    /// The time at which the receiver accepted the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<DateTime<Utc>>,
    /// Why the message will not be delivered, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl RunDelivery {
    fn new(url: &str, delivered_at: Option<DateTime<Utc>>, failure: Option<String>) -> Self {
        let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        Self { host, delivered_at, failure }
    }
}

/// Why a run failed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunFailure {
    /// The reason, for machines.
    pub code: String,
    /// The reason, for people.
    pub detail: String,
}

impl From<entity::run::Model> for Run {
    fn from(row: entity::run::Model) -> Self {
        let detail = row.failure_detail.unwrap_or_default();
        let (delivered_at, failure) = (row.webhook_delivered_at, row.webhook_failure);
        let webhook = row.webhook_url.map(|url| RunDelivery::new(&url, delivered_at, failure));
        Self {
            id: row.id.0,
            state: RunState(row.state),
            trigger: RunTrigger(row.trigger),
            pipeline_id: row.pipeline_id.0,
            pipeline_version: row.pipeline_version,
            low_priority: row.low_priority,
            recompute_from: row.recompute_from,
            origin_run_id: row.origin_run_id.map(Into::into),
            sync: row.syncs.then_some(SyncCounts {
                dry_run: row.dry_run,
                seen: row.objects_seen,
                new: row.objects_new,
                changed: row.objects_changed,
                unchanged: row.objects_unchanged,
                deleted: row.objects_deleted,
                failed: row.objects_failed,
                pending: row.objects_pending,
            }),
            waiting: None,
            admitted: row.admitted,
            items: row.items,
            items_open: row.items_open,
            items_failed: row.items_failed,
            items_skipped: row.items_skipped,
            reused: row.reused,
            recomputed: row.recomputed,
            tokens: row.tokens,
            tokens_saved: row.tokens_saved,
            budget: row.budget.map(|budget| budget as f64 / 1e6),
            failure: row.failure_code.map(|code| RunFailure { code: code.as_str().to_owned(), detail }),
            webhook,
            started_by: row.started_by.map(Into::into),
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}
