//! The connections that a segment needs, with their credentials opened.

use std::collections::BTreeMap;

use nvisy_shared::{
    domain::{
        connection::{CallLimits, InvalidSetting, model::ModelProvider},
        failure::{Failure, FailureCode},
    },
    entity::connection::Model,
    id::{ConnectionId, WorkspaceId},
    pipeline::node::Settings,
    store,
};

use super::plans::CompiledPlan;
use crate::{
    connectors::{
        CallFailure, OpenConnection,
        gate::{BLOCKED_DELAY, Gate},
        table::{self, OpenTarget},
    },
    context::Context,
    providers::ModelClient,
    runner::JobError,
};

/// A connection to a model.
#[derive(Debug)]
pub struct ModelConnection {
    /// The connection.
    pub id: ConnectionId,
    /// Its name.
    pub name: String,
    /// How often it may be called.
    pub limits: CallLimits,
    /// Everything on which an answer depends, besides the question.
    pub identity: String,
    /// The model.
    pub client: ModelClient,
}

/// A connection that a sink writes to.
pub struct TargetConnection {
    /// The connection.
    pub connection: OpenConnection,
    /// The system behind it.
    pub target: OpenTarget,
}

/// The connections of the nodes of a segment, by node.
#[derive(Default)]
pub struct SegmentConnections {
    /// Models.
    pub models: BTreeMap<String, ModelConnection>,
    /// Targets of sinks.
    pub targets: BTreeMap<String, TargetConnection>,
}

/// The connections of the nodes of segment `index`.
///
/// # Errors
/// [`FailureCode::ConnectionNotFound`]; a disabled connection is waited for.
pub async fn of_segment(
    cx: &Context,
    workspace: WorkspaceId,
    plan: &CompiledPlan,
    index: usize,
) -> Result<SegmentConnections, JobError> {
    let mut connections = SegmentConnections::default();
    for step in &plan.plan.segments[index].steps {
        // Sources read their connection before items enter.
        if matches!(step.settings, Settings::SourceConnection(_)) {
            continue;
        }
        let Some(id) = step.settings.connection() else { continue };
        let row = store::connection::find(&cx.db, workspace, id).await?.ok_or_else(|| {
            let detail = format!("there is no connection {id}: create one, and name it in the pipeline");
            JobError::Fail(Failure::new(FailureCode::ConnectionNotFound, detail).at(&step.id))
        })?;
        if !row.enabled {
            let reason = format!("the connection `{}` is disabled", row.name);
            return Err(JobError::Blocked { reason, delay: BLOCKED_DELAY });
        }
        match step.settings {
            Settings::SinkConnection(_) => {
                let connection = OpenConnection::open(cx, workspace, row)?;
                let target = match table::open_target(cx, &connection) {
                    Ok(target) => target,
                    Err(CallFailure::Item(failure)) => return Err(JobError::Fail(failure.at(&step.id))),
                    Err(failure) => return Err(Gate::of(cx, &connection).failed(failure).await?),
                };
                connections.targets.insert(step.id.clone(), TargetConnection { connection, target });
            }
            _ if ModelProvider::parse(&row.provider).is_none() => {
                let detail = format!("the connection `{}` is not to a language model", row.name);
                return Err(JobError::Fail(Failure::new(FailureCode::ConnectionNotFound, detail).at(&step.id)));
            }
            _ => {
                connections.models.insert(step.id.clone(), open(cx, workspace, row)?);
            }
        }
    }
    Ok(connections)
}

/// Opens a connection to a model.
///
/// # Errors
/// When the row was changed without the API, or another key sealed it.
pub fn open(cx: &Context, workspace: WorkspaceId, row: Model) -> Result<ModelConnection, JobError> {
    let unreadable =
        |error: InvalidSetting| JobError::retry("the settings of a connection cannot be read")(error.to_string());
    let connection = OpenConnection::open(cx, workspace, row)?;
    let provider = ModelProvider::parse(&connection.provider)
        .ok_or_else(|| JobError::retry("this worker does not know the provider")(connection.provider.clone()))?;
    let settings = connection.settings().map_err(unreadable)?;
    let credentials = connection.credentials().map_err(unreadable)?;
    let client = ModelClient::new(cx.outbound.clone(), provider, settings, credentials);
    let identity = client.settings().identity(provider);
    Ok(ModelConnection { id: connection.id, limits: connection.limits(), name: connection.name, identity, client })
}
