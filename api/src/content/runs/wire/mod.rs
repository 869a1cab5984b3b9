//! Requests and responses of the run operations.

mod artifact;
mod identifiers;
mod item;
mod paths;
mod queries;
mod requests;
mod retry;
mod run;
mod staleness;

pub use self::{
    artifact::{Artifact, Artifacts},
    item::{Item, ItemWaiting, LogEntry, read_progress},
    paths::{ArtifactPath, ItemPath, PipelinePath, RunPath},
    queries::{ItemsQuery, RunsQuery},
    requests::{ForkRun, PreviewPipeline, RetryRun, StartInlineRun, StartRun, inline_example},
    retry::{RetriedItems, RetryItems},
    run::{FailedObject, FailedObjects, Run},
    staleness::{RefreshCost, StaleNodeType, Staleness},
};
