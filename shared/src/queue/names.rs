//! Names of streams, subjects and buckets on the NATS server, which all begin with one prefix.

use crate::{
    domain::job::Lane,
    id::{JobId, WorkspaceId},
};

/// The names under one prefix.
#[derive(Clone, Debug)]
pub struct NatsNames {
    prefix: String,
}

impl NatsNames {
    /// Names that begin with `prefix`.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(super) fn jobs_stream(&self) -> String {
        format!("{}_jobs", self.prefix)
    }

    pub(super) fn jobs_subjects(&self) -> String {
        format!("{}.jobs.>", self.prefix)
    }

    pub(super) fn lane_subjects(&self, lane: Lane) -> String {
        format!("{}.jobs.{}.*", self.prefix, lane.name())
    }

    pub(super) fn job_subject(&self, lane: Lane, workspace: WorkspaceId) -> String {
        format!("{}.jobs.{}.{workspace}", self.prefix, lane.name())
    }

    pub(super) fn events_stream(&self) -> String {
        format!("{}_events", self.prefix)
    }

    pub(super) fn events_subjects(&self) -> String {
        format!("{}.events.*", self.prefix)
    }

    pub(super) fn event_subject(&self, workspace: WorkspaceId) -> String {
        format!("{}.events.{workspace}", self.prefix)
    }

    /// Requests for the vector of a query, which a worker answers.
    pub(super) fn query_subject(&self) -> String {
        format!("{}.query", self.prefix)
    }

    /// Requests for scores of passages, which a worker answers.
    pub(super) fn rerank_subject(&self) -> String {
        format!("{}.rerank", self.prefix)
    }

    /// The inboxes of such requests whose clients have gone.
    pub(super) fn cancel_subject(&self) -> String {
        format!("{}.cancel", self.prefix)
    }

    /// A stream that is created and deleted at once, to learn how much space is free.
    pub(super) fn free_space_stream(&self) -> String {
        format!("{}_room", self.prefix)
    }

    pub(super) fn free_space_subject(&self) -> String {
        format!("{}.room", self.prefix)
    }

    /// The object-store bucket that holds file bytes.
    #[must_use]
    pub fn files_bucket(&self) -> String {
        format!("{}_files", self.prefix)
    }

    /// JetStream drops a second message of the same epoch. Each new claim has another epoch, and so another message.
    pub(super) fn message_id(job: JobId, epoch: i32) -> String {
        format!("{job}-{epoch}")
    }
}
