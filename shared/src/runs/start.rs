//! Starting a run over files that exist.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::code_versions;
use crate::{
    domain::{
        event::EventType,
        run::{ItemState, RunTrigger},
    },
    id::{FileId, RunId, WorkspaceId},
    job::AdmitItems,
    pipeline::{
        self,
        node::{Settings, source_files::Trigger},
        plan::Plan,
        uncompiled,
    },
    queue::outbox,
    store::{
        self, Result,
        change::Change,
        run::{NewRun, Pipeline},
    },
};

/// Items of another run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemsOfRun {
    /// The run.
    pub run: RunId,
    /// Only items in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ItemState>,
}

/// Which files enter a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selection {
    /// These files; `None`: all that the sources of the pipeline take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<FileId>>,
    /// Of them, those of another run's items, at their newest versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items_of: Option<ItemsOfRun>,
    /// Of them, those that match: the filter language of search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Json>,
    /// The largest number of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Whether the newest files enter first; otherwise the oldest.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub newest: bool,
    /// The name of the pipeline that the run follows: sources that start after another one take no files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub followed: Option<String>,
}

impl Selection {
    /// Whether everything enters that the sources have: sources that are connections are listed then. Otherwise files enter that
    /// earlier runs have brought.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether a plan has a source that lists a connection in a run with this trigger.
#[must_use]
pub fn syncs(plan: &Plan, trigger: RunTrigger) -> bool {
    let mut sources = plan.segments.iter().map(|segment| &segment.steps[0].settings);
    sources.any(|source| matches!(source, Settings::SourceConnection(_)) && takes(source, trigger, None))
}

/// Whether a source takes files in a run: of one that a schedule, a notification or another pipeline has started, only the sources
/// with this trigger do, and those that have none. A request starts all sources. `followed`: [`Selection::followed`].
#[must_use]
pub fn takes(source: &Settings, trigger: RunTrigger, followed: Option<&str>) -> bool {
    match (trigger, source) {
        (RunTrigger::Schedule, Settings::SourceFiles(files)) => matches!(files.trigger, Trigger::Schedule(_)),
        (RunTrigger::Schedule, Settings::SourceConnection(connection)) => connection.schedule.is_some(),
        (RunTrigger::After, Settings::SourceFiles(files)) => match &files.trigger {
            Trigger::After(after) => followed.is_none_or(|followed| after.pipeline == followed),
            _ => false,
        },
        (RunTrigger::After, Settings::SourceConnection(_)) => false,
        // Only sources of connections are notified.
        (RunTrigger::Notification, source) => matches!(source, Settings::SourceConnection(_)),
        _ => true,
    }
}

/// A run to be started.
#[derive(Clone, Debug)]
pub struct StartRun {
    /// Why.
    pub trigger: RunTrigger,
    /// The files.
    pub selection: Selection,
    /// Whether it computes everything and writes nothing.
    pub preview: bool,
    /// Whether its jobs stand behind those of others.
    pub low_priority: bool,
    /// The node from which nothing is reused.
    pub recompute_from: Option<String>,
    /// The run that it continues.
    pub origin: Option<RunId>,
    /// The largest cost of its calls of models, in millionths.
    pub budget: Option<i64>,
    /// Whether a sync counts what would change, and writes nothing.
    pub dry_run: bool,
    /// The address that gets a message when it has ended.
    pub webhook_url: Option<String>,
}

impl StartRun {
    /// A run over a selection of files.
    #[must_use]
    pub const fn new(trigger: RunTrigger, selection: Selection) -> Self {
        Self {
            trigger,
            selection,
            preview: false,
            low_priority: false,
            recompute_from: None,
            origin: None,
            budget: None,
            dry_run: false,
            webhook_url: None,
        }
    }
}

/// Adds a run whose files enter one page after another, and its first job.
///
/// # Errors
/// When the database fails.
pub async fn start(change: &mut Change, workspace: WorkspaceId, of: &Pipeline, start: StartRun) -> Result<RunId> {
    // A newer version may have stored it: then the run waits for a worker that can compile it.
    let compiled = pipeline::compile(&of.definition).ok();
    let lists = match &compiled {
        Some(compiled) => syncs(&compiled.plan, start.trigger),
        None => uncompiled::lists_connection(&of.definition),
    };
    let syncs = !start.preview && start.selection.is_all() && lists;
    let code_versions = compiled.map(|compiled| code_versions(&compiled.plan));
    let new = NewRun {
        pipeline: of.id,
        version: of.version,
        trigger: start.trigger,
        preview: start.preview,
        low_priority: start.low_priority,
        recompute_from: start.recompute_from,
        origin: start.origin,
        selection: Some(json!(start.selection)),
        started_by: change.actor().account(),
        code_versions,
        budget: start.budget,
        syncs,
        dry_run: start.dry_run,
        webhook_url: start.webhook_url,
    };
    let run = store::run::insert(change, workspace, new).await?;
    outbox::enqueue(change, workspace, &AdmitItems { run }).await?;
    let data = json!({ "pipelineId": of.id, "pipelineVersion": of.version, "trigger": start.trigger });
    change.emit(EventType::RunStarted, run, data);
    Ok(run)
}
