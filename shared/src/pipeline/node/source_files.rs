//! `source.files`: the files of the workspace.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::spec::{Cost, Group, NodeSpec};
use crate::{
    clock,
    pipeline::{
        file_filter::FileFilter,
        port::{Flow, Ports},
        problem::{NodeProblems, ProblemCode},
    },
};

/// Settings of `source.files`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SourceFiles {
    /// The event that starts a run.
    pub trigger: Trigger,
    /// The files that enter; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FileFilter>,
}

/// The event that starts a run of a source. A request can start one of any source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Each upload, for the uploaded file.
    #[default]
    Upload,
    /// A change of a file's name, tags or metadata, for that file.
    Change,
    /// Only a request, for all files.
    Manual,
    /// A time, for all files.
    Schedule(Schedule),
    /// The end of another pipeline's run, for the files of that run.
    After(After),
}

/// Times by a cron expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schedule {
    /// Minute, hour, day of the month, month, day of the week: `0 3 * * *` is each day at three.
    #[schemars(length(min = 9, max = 100))]
    pub cron: String,
    /// The time zone, by its name in the IANA database.
    #[serde(default = "utc", skip_serializing_if = "is_utc")]
    #[schemars(length(min = 1, max = 50))]
    pub time_zone: String,
    /// What happens at a time that no worker was there for.
    #[serde(default, skip_serializing_if = "Missed::is_once")]
    pub missed: Missed,
}

/// What happens with the times of a schedule that no worker was there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// All of them together start one run, as soon as there is a worker.
    #[default]
    Once,
    /// They start none: the next run is at the next time.
    Skip,
}

impl Missed {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    const fn is_once(&self) -> bool {
        matches!(self, Self::Once)
    }
}

/// The pipeline that comes before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct After {
    /// Its name.
    #[schemars(length(min = 1, max = 100))]
    pub pipeline: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn is_utc(zone: &String) -> bool {
    *zone == utc()
}

impl NodeSpec for SourceFiles {
    const TYPE: &'static str = "source.files";
    const TITLE: &'static str = "Files";
    const DESCRIPTION: &'static str = "Takes files of the workspace: each upload, or all of them on request.";
    const GROUP: Group = Group::Source;
    const COST: Cost = Cost::Negligible;

    fn ports(&self) -> Ports {
        Ports::source(Flow::Bytes)
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        if let Some(filter) = &self.filter {
            filter.validate("filter", problems);
        }
        if let Trigger::Schedule(schedule) = &self.trigger
            && let Err(error) = schedule.next_after(clock::now())
        {
            let remedy =
                "write minute, hour, day of the month, month and day of the week, and a zone such as `Europe/Berlin`";
            problems.add(ProblemCode::InvalidSchedule, "trigger.schedule", error.to_string(), remedy);
        }
    }

    fn example() -> Self {
        let filter = json!({ "field": "mediaType", "op": "eq", "value": "application/pdf" });
        Self { trigger: Trigger::Upload, filter: Some(FileFilter(filter)) }
    }
}
