//! The embedding space that a request names: that of a model of the server, or of a connection.

use nvisy_shared::{
    domain::connection::{self, ProviderSpec as _, embedding::OpenAiEmbeddings},
    id::{ConnectionId, SpaceId, WorkspaceId},
    platform::{Platform, spaces::connection_space},
    store::{self, change::Change},
};

use crate::{http::extract::invalid_field, problem::Problem};

/// The space of a model or of a connection; `None`: neither is named. That of a connection is created if this is its first
/// collection.
pub async fn requested_space(
    change: &Change,
    platform: &Platform,
    workspace: WorkspaceId,
    model: Option<&str>,
    connection: Option<ConnectionId>,
) -> Result<Option<SpaceId>, Problem> {
    match (model, connection) {
        (None, None) => Ok(None),
        (Some(model), None) => space_of_model(platform, model).map(Some),
        (None, Some(connection)) => space_of_connection(change, workspace, connection).await.map(Some),
        (Some(_), Some(_)) => Err(invalid_field("connection", "must not be set together with `model`")),
    }
}

/// The space of a connection, of which this is the first collection perhaps; 404 without such a connection, 422 unless it computes
/// embeddings.
async fn space_of_connection(change: &Change, workspace: WorkspaceId, id: ConnectionId) -> Result<SpaceId, Problem> {
    let row = store::connection::lock(change.tx(), workspace, id).await?;
    let row = row.ok_or_else(|| Problem::not_found().detail("the connection does not exist"))?;
    if row.provider != OpenAiEmbeddings::NAME {
        return Err(invalid_field("connection", "must be a connection of kind `embedding`"));
    }
    let settings = connection::read(&row.settings).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(store::space::ensure_of_connection(change.tx(), workspace, id, &connection_space(&settings)).await?)
}

/// The space of a model of this server; 422 with the names of its models.
pub fn space_of_model(platform: &Platform, model: &str) -> Result<SpaceId, Problem> {
    let spaces = &platform.spaces;
    spaces.of_model(model).map(|space| space.id).ok_or_else(|| {
        let names: Vec<_> = spaces.iter().map(|space| format!("`{}`", space.embedder.space().model)).collect();
        invalid_field("model", format!("must be a model of this server: {}", names.join(", ")))
    })
}
