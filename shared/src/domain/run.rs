//! Runs of pipelines: their states, triggers and log.

use chrono::{DateTime, Utc};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

use super::failure::FailureCode;
use crate::id::PipelineId;

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// No item has started.
    Queued,
    /// At least one item has started.
    Running,
    /// Every item is done or skipped.
    Completed,
    /// Every item is finished, and at least one has failed; or the run was opened again after it was cancelled or had failed, and not all
    /// of its items and files.
    CompletedWithErrors,
    /// The run ended before its items: a node's failure ends the run, or its source cannot be read.
    Failed,
    /// Cancelled by request.
    Cancelled,
}

impl RunState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Completed, Self::CompletedWithErrors, Self::Failed, Self::Cancelled];

    /// Whether the run goes on.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }

    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::CompletedWithErrors => "completed_with_errors",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The state of an item: one file version in one run. The file has a state of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// No worker has started.
    Queued,
    /// A worker has started.
    Running,
    /// Every sink has what is due to it.
    Done,
    /// Nothing reached a sink: a filter, a switch or a skipped failure ended the way.
    Skipped,
    /// A node failed finally.
    Failed,
    /// Its run was cancelled or failed.
    Cancelled,
}

impl ItemState {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Queued, Self::Running, Self::Done, Self::Skipped, Self::Failed, Self::Cancelled];

    /// Whether work is left.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }

    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The reason why a run was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum RunTrigger {
    /// An upload.
    Upload,
    /// A change of a file's name, tags or metadata.
    Change,
    /// A request.
    Manual,
    /// The pipeline's schedule.
    Schedule,
    /// The end of another pipeline's run.
    After,
    /// A request to repeat failed items.
    Retry,
    /// A request to continue from a node.
    Fork,
    /// A request to process existing files, behind all other work.
    Backfill,
    /// A request with a definition of its own.
    Inline,
    /// A request to show outputs without writing.
    Preview,
    /// A notification of a source: only the objects that it names are synchronised.
    Notification,
}

impl RunTrigger {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Upload,
        Self::Change,
        Self::Manual,
        Self::Schedule,
        Self::After,
        Self::Retry,
        Self::Fork,
        Self::Backfill,
        Self::Inline,
        Self::Preview,
        Self::Notification,
    ];

    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Change => "change",
            Self::Manual => "manual",
            Self::Schedule => "schedule",
            Self::After => "after",
            Self::Retry => "retry",
            Self::Fork => "fork",
            Self::Backfill => "backfill",
            Self::Inline => "inline",
            Self::Preview => "preview",
            Self::Notification => "notification",
        }
    }

    /// Whether the state of the file follows the item: the run belongs to the file's arrival.
    #[must_use]
    pub const fn decides_file(self) -> bool {
        matches!(self, Self::Upload)
    }
}

/// Which runs of a workspace come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunPriority {
    /// Those of a file that arrives or changes, and previews: a person waits for them.
    #[default]
    Arrival,
    /// Those over files that are there already, and syncs: thousands of items may wait.
    Bulk,
    /// Those that a request puts behind all other work.
    Low,
}

impl RunPriority {
    /// The priority of a run with this trigger; `low_priority` is that of its request.
    #[must_use]
    pub const fn of(trigger: RunTrigger, low_priority: bool) -> Self {
        match trigger {
            _ if low_priority => Self::Low,
            RunTrigger::Upload | RunTrigger::Change | RunTrigger::Preview => Self::Arrival,
            RunTrigger::Manual
            | RunTrigger::Schedule
            | RunTrigger::After
            | RunTrigger::Retry
            | RunTrigger::Fork
            | RunTrigger::Backfill
            | RunTrigger::Inline
            | RunTrigger::Notification => Self::Bulk,
        }
    }
}

/// The kind of a log entry of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum LogKind {
    /// A condition of a `check` did not hold.
    CheckFailed,
    /// The item goes on without something, such as the vector of a passage that the provider rejects.
    Warning,
    /// A part of the item's file was not read: a member, or the rest of the file.
    Incomplete,
    /// A node failed finally, and its option `onError` lets the item go on.
    NodeSkipped,
    /// A node failed finally, and the item with it.
    Failed,
    /// The item was put back into the queue.
    Retried,
}

impl LogKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::CheckFailed, Self::Warning, Self::Incomplete, Self::NodeSkipped, Self::Failed, Self::Retried];

    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CheckFailed => "check_failed",
            Self::Warning => "warning",
            Self::Incomplete => "incomplete",
            Self::NodeSkipped => "node_skipped",
            Self::Failed => "failed",
            Self::Retried => "retried",
        }
    }
}

/// Elements that enter a segment, by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// The first one.
    pub first: u32,
    /// One past the last one.
    pub end: u32,
}

/// Which failed items of a workspace's runs are repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedItems {
    /// Only those that failed with this code.
    pub code: Option<FailureCode>,
    /// Only those of this pipeline's runs.
    pub pipeline: Option<PipelineId>,
    /// Only those that failed at this time or later.
    pub since: Option<DateTime<Utc>>,
}
