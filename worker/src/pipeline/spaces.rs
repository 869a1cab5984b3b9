//! The embedding spaces that a segment needs: those of the collections behind its nodes.

use std::{collections::BTreeMap, sync::Arc};

use nvisy_embed::{Embedded, Embedder, InputType};
use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    id::{SpaceId, WorkspaceId},
    pipeline::node::Settings,
    platform::spaces::ServedSpace,
    store::{self, collection::CollectionSpace},
};

use super::{
    embedding,
    embedding_connection::{Caller, EmbeddingConnection},
    plans::CompiledPlan,
};
use crate::{context::Context, runner::JobError};

/// A space, and the model that computes vectors in it.
#[derive(Clone)]
pub struct OpenSpace {
    /// The id and the embedder.
    pub served: ServedSpace,
    /// The connection whose server computes the vectors; `None`: a model of this worker.
    pub connection: Option<Arc<EmbeddingConnection>>,
}

impl OpenSpace {
    /// The embedder.
    #[must_use]
    pub fn embedder(&self) -> &Embedder {
        &self.served.embedder
    }

    /// Everything on which a vector depends, besides the text.
    #[must_use]
    pub fn identity(&self) -> String {
        let server = self.connection.as_ref().map(|_| self.served.id);
        format!("{:?} {} {server:?}", self.embedder().space(), self.embedder().max_tokens())
    }

    /// The vectors of passages in their order, or why the server rejects one.
    ///
    /// # Errors
    /// A busy server costs no attempt, a rejected request fails the item, others are repeated; and the limits of a connection.
    pub async fn embed(&self, texts: Vec<String>) -> Result<Vec<Embedded>, JobError> {
        self.embed_as(InputType::Passage, texts).await
    }

    /// As [`OpenSpace::embed`], for texts of any kind.
    ///
    /// # Errors
    /// As [`OpenSpace::embed`].
    pub async fn embed_as(&self, input_type: InputType, texts: Vec<String>) -> Result<Vec<Embedded>, JobError> {
        match &self.connection {
            _ if texts.is_empty() => Ok(Vec::new()),
            None => embedding::embed(self.embedder(), input_type, texts).await,
            Some(connection) => connection.embed(self.embedder(), input_type, texts).await,
        }
    }
}

/// Spaces by node, and the collections of the workspace.
pub struct SegmentSpaces {
    /// The spaces of the collections behind each node that embeds, or cuts for a model.
    pub by_node: BTreeMap<String, Vec<OpenSpace>>,
    /// The collections of the workspace, each with the space that it has by now.
    pub collections: Vec<CollectionSpace>,
}

/// The spaces of segment `index`. A collection without one gets the default of this worker with its first vectors.
///
/// # Errors
/// When a collection does not exist, or this worker does not have the model of one.
pub async fn of_segment(
    cx: &Context,
    workspace: WorkspaceId,
    caller: Caller,
    plan: &CompiledPlan,
    index: usize,
    mut collections: Vec<CollectionSpace>,
) -> Result<SegmentSpaces, JobError> {
    let mut opened: BTreeMap<SpaceId, OpenSpace> = BTreeMap::new();
    let mut by_node = BTreeMap::new();
    for step in plan.plan.segments[index].steps.iter().filter(|step| step.settings.reads_model()) {
        let mut spaces = BTreeMap::new();
        for name in plan.collections.get(&step.id).into_iter().flatten() {
            let collection = collections.iter_mut().find(|collection| collection.name == *name).ok_or_else(|| {
                let detail = format!("there is no collection `{name}`: create it, or name another one");
                JobError::Fail(Failure::new(FailureCode::CollectionNotFound, detail))
            })?;
            if collection.space_id.is_none() && matches!(step.settings, Settings::Embed(_)) {
                collection.space_id =
                    store::collection::assign_space(&cx.db, workspace, collection.id, cx.spaces.default().id).await?;
            }
            for id in collection.written() {
                // Before anything of the item changes: it waits for a worker that has the model.
                let space = match opened.get(&id) {
                    Some(space) => space.clone(),
                    None => open(cx, workspace, id, caller.clone()).await?,
                };
                opened.insert(id, space.clone());
                spaces.insert(id, space);
            }
        }
        // Without a collection the vectors go elsewhere: they are those of the default model.
        let has_collection = plan.collections.get(&step.id).is_some_and(|collections| !collections.is_empty());
        if !has_collection && matches!(step.settings, Settings::Embed(_)) {
            let served = cx.spaces.default().clone();
            spaces.insert(served.id, OpenSpace { served, connection: None });
        }
        by_node.insert(step.id.clone(), spaces.into_values().collect());
    }
    Ok(SegmentSpaces { by_node, collections })
}

/// The model of a space.
///
/// # Errors
/// [`JobError::OtherSpace`] when this worker does not have it: vectors of two spaces never mix.
pub async fn open(cx: &Context, workspace: WorkspaceId, id: SpaceId, caller: Caller) -> Result<OpenSpace, JobError> {
    cx.spaces.load(&cx.db, [id]).await?;
    if let Some(served) = cx.spaces.get(id) {
        return Ok(OpenSpace { served, connection: None });
    }
    if let Some(space) = store::space::of_connection(&cx.db, workspace, id).await? {
        let (embedder, connection) = EmbeddingConnection::open(cx, workspace, &space, caller).await?;
        let served = ServedSpace { id, embedder, quantisation: space.space.quantisation };
        return Ok(OpenSpace { served, connection: Some(Arc::new(connection)) });
    }
    Err(JobError::OtherSpace(id))
}
