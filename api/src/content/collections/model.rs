//! The embedding space that a request names: that of a model of the server, or of a connection.

use nvisy_embed::SpaceSpec;
use nvisy_shared::{
    domain::{
        connection::{
            self, ProviderSpec as _,
            embedding::{EmbeddingSettings, OpenAiEmbeddings},
        },
        space::{MAX_HALF_DIMENSIONS, Quantisation},
    },
    id::{ConnectionId, SpaceId, WorkspaceId},
    platform::{
        Platform,
        spaces::{ServedSpace, connection_space},
    },
    store::{self, change::Change, space::Space},
};
use serde::Serialize;

use crate::{http::extract::invalid_field, problem::Problem};

/// A space, by the model or the connection that computes its vectors.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RequestedSpace {
    pub model: Option<String>,
    pub connection: Option<ConnectionId>,
    /// `None`: those of the model's vectors.
    pub dimensions: Option<u16>,
    /// `None`: the usual one.
    pub quantisation: Option<Quantisation>,
}

/// The model of a requested space.
#[derive(Clone, Copy, Debug)]
pub enum NamedModel<'a> {
    Model(&'a str),
    Connection(ConnectionId),
}

impl RequestedSpace {
    /// The model; `None`: none is named.
    pub fn named(&self) -> Result<Option<NamedModel<'_>>, Problem> {
        match (&self.model, self.connection) {
            (None, None) if self.dimensions.is_some() || self.quantisation.is_some() => {
                Err(invalid_field("model", "must be set with `dimensions` and `quantisation`, or `connection`"))
            }
            (None, None) => Ok(None),
            (Some(model), None) => Ok(Some(NamedModel::Model(model))),
            (None, Some(connection)) => Ok(Some(NamedModel::Connection(connection))),
            (Some(_), Some(_)) => Err(invalid_field("connection", "must not be set together with `model`")),
        }
    }

    /// The properties of the space, from those of whole vectors of the model.
    fn space(&self, whole: &SpaceSpec, usual_dimensions: u16, truncatable: bool) -> Result<Space, Problem> {
        let dimensions = self.dimensions.unwrap_or(usual_dimensions);
        let spec = whole
            .with_dimensions(dimensions, truncatable)
            .map_err(|error| invalid_field("dimensions", error.to_string()))?;
        let quantisation = self.quantisation.unwrap_or(Quantisation::of(dimensions));
        if !quantisation.allows(dimensions) {
            let reason = format!("must be `binary` above {MAX_HALF_DIMENSIONS} dimensions");
            return Err(invalid_field("quantisation", reason));
        }
        Ok(Space { spec, quantisation })
    }

    /// The properties of a space of a model of this server; 422 with the names of its models.
    pub fn space_of_model<'a>(&self, platform: &'a Platform, model: &str) -> Result<(&'a ServedSpace, Space), Problem> {
        let spaces = &platform.spaces;
        let served = spaces.of_model(model).ok_or_else(|| {
            let names = spaces.of_models().map(|space| format!("`{}`", space.embedder.space().model));
            invalid_field("model", format!("must be a model of this server: {}", names.collect::<Vec<_>>().join(", ")))
        })?;
        let embedder = &served.embedder;
        let whole = SpaceSpec { dimensions: embedder.model_dimensions(), ..embedder.space().clone() };
        let space = self.space(&whole, embedder.space().dimensions, embedder.is_truncatable())?;
        Ok((served, space))
    }

    /// The properties of a space of a connection.
    pub fn space_of_connection(&self, settings: &EmbeddingSettings) -> Result<Space, Problem> {
        self.space(&connection_space(settings), settings.dimensions, settings.truncatable)
    }
}

/// Whether a space is the one that the server has opened for the model.
fn is_own(served: &ServedSpace, space: &Space) -> bool {
    served.quantisation == space.quantisation && *served.embedder.space() == space.spec
}

/// The id of a requested space; `None`: no model is named. It is created if this is its first collection.
pub async fn requested_space(
    change: &Change,
    platform: &Platform,
    workspace: WorkspaceId,
    requested: &RequestedSpace,
) -> Result<Option<SpaceId>, Problem> {
    match requested.named()? {
        None => Ok(None),
        Some(NamedModel::Model(model)) => {
            let (served, space) = requested.space_of_model(platform, model)?;
            if is_own(served, &space) {
                return Ok(Some(served.id));
            }
            Ok(Some(store::space::ensure_requested(change.tx(), None, &space).await?))
        }
        Some(NamedModel::Connection(id)) => space_of_connection(change, workspace, id, requested).await.map(Some),
    }
}

/// The space of a connection, of which this is the first collection perhaps; 404 without such a connection, 422 unless it computes
/// embeddings.
async fn space_of_connection(
    change: &Change,
    workspace: WorkspaceId,
    id: ConnectionId,
    requested: &RequestedSpace,
) -> Result<SpaceId, Problem> {
    let row = store::connection::lock(change.tx(), workspace, id).await?;
    let row = row.ok_or_else(|| Problem::not_found().detail("the connection does not exist"))?;
    if row.provider != OpenAiEmbeddings::NAME {
        return Err(invalid_field("connection", "must be a connection of kind `embedding`"));
    }
    let settings = connection::read(&row.settings).map_err(|error| Problem::internal(error.to_string()))?;
    let space = requested.space_of_connection(&settings)?;
    Ok(store::space::ensure_requested(change.tx(), Some((workspace, id)), &space).await?)
}
