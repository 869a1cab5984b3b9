//! The connections that a segment needs, with their credentials opened.

use std::{collections::BTreeMap, time::Duration};

use nvisy_shared::{
    crypt::{self, KeyPurpose, envelope},
    domain::{
        connection::{self, model::ModelProvider},
        failure::{Failure, FailureCode},
    },
    entity::connection::Model,
    id::{ConnectionId, WorkspaceId},
    store,
};
use serde_json::Value;

use super::plans::CompiledPlan;
use crate::{context::Context, providers::ModelClient, runner::JobError};

/// How long a job waits before it looks again for an enabled connection.
const DISABLED_DELAY: Duration = Duration::from_secs(60);

/// A connection to a model.
#[derive(Debug)]
pub struct ModelConnection {
    /// The connection.
    pub id: ConnectionId,
    /// Its name.
    pub name: String,
    /// Everything on which an answer depends, besides the question.
    pub identity: String,
    /// The model.
    pub client: ModelClient,
}

/// The connections of the nodes of segment `index`, by node.
///
/// # Errors
/// [`FailureCode::ConnectionNotFound`]; a disabled connection is waited for.
pub async fn of_segment(
    cx: &Context,
    workspace: WorkspaceId,
    plan: &CompiledPlan,
    index: usize,
) -> Result<BTreeMap<String, ModelConnection>, JobError> {
    let mut by_node = BTreeMap::new();
    for step in &plan.plan.segments[index].steps {
        let Some(id) = step.settings.connection() else { continue };
        let row = store::connection::find(&cx.db, workspace, id).await?.ok_or_else(|| {
            let detail = format!("there is no connection {id}: create one, and name it in the pipeline");
            JobError::Fail(Failure::new(FailureCode::ConnectionNotFound, detail).at(&step.id))
        })?;
        if !row.enabled {
            let reason = format!("the connection `{}` is disabled", row.name);
            return Err(JobError::Blocked { reason, delay: DISABLED_DELAY });
        }
        by_node.insert(step.id.clone(), open(cx, workspace, row)?);
    }
    Ok(by_node)
}

/// Opens a connection to a model.
///
/// # Errors
/// When the row was changed behind our back, or another key sealed it.
pub fn open(cx: &Context, workspace: WorkspaceId, row: Model) -> Result<ModelConnection, JobError> {
    let unreadable = |error: connection::InvalidSetting| {
        JobError::retry("the settings of a connection cannot be read")(error.to_string())
    };
    let provider = ModelProvider::parse(&row.provider)
        .ok_or_else(|| JobError::retry("this worker does not know the provider")(row.provider.clone()))?;
    let settings = connection::read(&row.settings).map_err(unreadable)?;
    let credentials = match &row.credentials {
        None => None,
        Some(sealed) => {
            let key = cx.keys.derive(workspace, KeyPurpose::Connection);
            let opened = envelope::open(&key, &crypt::connection_owner(workspace, row.id), sealed)
                .map_err(JobError::retry("the credentials of a connection cannot be opened"))?;
            let json: Value = serde_json::from_slice(opened.expose())
                .map_err(|_| JobError::retry("the credentials of a connection cannot be read")("they are not JSON"))?;
            Some(connection::read(&json).map_err(unreadable)?)
        }
    };
    let client = ModelClient::new(cx.outbound.clone(), provider, settings, credentials);
    let identity = client.settings().identity(provider);
    Ok(ModelConnection { id: row.id, name: row.name, identity, client })
}
