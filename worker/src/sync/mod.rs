//! Keeping files in step with connections: what the handlers of listings and of batches share.

pub(crate) mod checkpoint;
pub(crate) mod deletions;
pub(crate) mod fetching;
pub(crate) mod ingest;
pub(crate) mod listeners;
pub(crate) mod memory;
pub(crate) mod page;
pub(crate) mod selection;

use std::sync::Arc;

use nvisy_shared::{
    domain::{
        connection::{Capability, provider},
        failure::{Failure, FailureCode},
        run::RunTrigger,
    },
    entity,
    id::{RunId, WorkspaceId},
    pipeline::node::{
        Settings,
        source_connection::{Deletions, SourceConnection, SyncMode},
    },
    runs,
    store::{self, source_object::SourceNode},
};

use crate::{
    connectors::{DynSource, OpenConnection, gate::Gate, table::open_source},
    context::Context,
    pipeline::plans::CompiledPlan,
    runner::JobError,
};

/// A source of a pipeline that is a connection, in a run.
pub(crate) struct SyncedSource {
    /// The tenant.
    pub(crate) workspace: WorkspaceId,
    /// The run.
    pub(crate) run: entity::run::Model,
    /// The plan of the run.
    pub(crate) plan: Arc<CompiledPlan>,
    /// The segment where its files enter.
    pub(crate) entry: usize,
    /// The settings of the node.
    pub(crate) settings: SourceConnection,
    /// The node.
    pub(crate) node: SourceNode,
    /// The connection.
    pub(crate) connection: OpenConnection,
}

impl SyncedSource {
    /// The run of a job, if it goes on.
    ///
    /// # Errors
    /// [`JobError::Obsolete`] for a run that has ended.
    pub(crate) async fn run(cx: &Context, workspace: WorkspaceId, run: RunId) -> Result<entity::run::Model, JobError> {
        let run = store::run::find(&cx.db, workspace, run).await?;
        run.filter(|run| run.state.is_open()).ok_or(JobError::Obsolete)
    }

    /// Finds a source by its segment, and opens its connection.
    ///
    /// # Errors
    /// [`FailureCode::ConnectionNotFound`]; a disabled connection, and one that is not called for now, is waited for.
    pub(crate) async fn open(
        cx: &Context,
        workspace: WorkspaceId,
        run: entity::run::Model,
        find: impl Fn(usize, &str) -> bool,
    ) -> Result<Self, JobError> {
        let plan = cx.plans.get(&cx.db, workspace, run.pipeline_id, run.pipeline_version).await?;
        let found = plan.plan.segments.iter().enumerate().find_map(|(entry, segment)| {
            let step = &segment.steps[0];
            match &step.settings {
                Settings::SourceConnection(settings) if find(entry, &step.id) => {
                    Some((entry, step.id.clone(), settings.clone()))
                }
                _ => None,
            }
        });
        let (entry, node, settings) = found.ok_or(JobError::Obsolete)?;
        let connection = OpenConnection::find(cx, workspace, settings.connection).await?.ok_or_else(|| {
            let detail =
                format!("there is no connection {}: create one, and name it in the pipeline", settings.connection);
            JobError::Fail(Failure::new(FailureCode::ConnectionNotFound, detail).at(&node))
        })?;
        let node = SourceNode { pipeline: run.pipeline_id, node, connection: settings.connection, run: run.id };
        Gate::of(cx, &connection).check_circuit().await?;
        Ok(Self { workspace, run, plan, entry, settings, node, connection })
    }

    /// The nodes of the plan that list connections, in the order of their listings.
    pub(crate) fn connected_sources(&self) -> Vec<String> {
        let first = self.plan.plan.segments.iter().map(|segment| &segment.steps[0]);
        first
            .filter(|step| matches!(step.settings, Settings::SourceConnection(_)))
            .map(|step| step.id.clone())
            .collect()
    }

    /// Whether the run lists all of them: a scheduled one leaves out those without a schedule.
    pub(crate) fn lists_all_sources(&self) -> bool {
        let mut first = self.plan.plan.segments.iter().map(|segment| &segment.steps[0].settings);
        first.all(|source| {
            !matches!(source, Settings::SourceConnection(_)) || runs::takes(source, self.run.trigger, None)
        })
    }

    /// Opens the system behind the connection; makes no call.
    ///
    /// # Errors
    /// The job waits until the connection is changed.
    pub(crate) async fn source(&self, cx: &Context) -> Result<Box<DynSource>, JobError> {
        match open_source(cx, &self.connection) {
            Ok(source) => Ok(source),
            Err(failure) => Err(Gate::of(cx, &self.connection).failed(failure.redacted(&self.connection)).await?),
        }
    }

    /// Whether the source is asked which objects are gone, behind a listing that names only what changed. Notifications name what is
    /// gone, or leave it to the schedule.
    pub(crate) fn asks_for_gone(&self) -> bool {
        self.settings.mode == SyncMode::Incremental
            && self.settings.deletions != Deletions::Ignore
            && self.run.trigger != RunTrigger::Notification
            && provider(&self.connection.provider).is_some_and(|provider| provider.can(Capability::ListIds))
    }

    /// The largest size of an object.
    pub(crate) fn max_bytes(&self, cx: &Context) -> u64 {
        let limit = cx.config.http.upload_bytes;
        self.settings.max_bytes.unwrap_or(limit)
    }
}
