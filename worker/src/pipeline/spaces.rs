//! The embedding spaces that a segment needs: those of the collections behind its nodes.

use std::{collections::BTreeMap, time::Duration};

use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    id::{SpaceId, WorkspaceId},
    pipeline::node::Settings,
    platform::spaces::ServedSpace,
    store::{self, collection::CollectionSpace},
};

use super::plans::CompiledPlan;
use crate::{context::Context, runner::JobError};

/// Spaces by node, and the collections of the workspace.
pub struct SegmentSpaces {
    /// The spaces of the collections behind each node that embeds, or cuts for a model.
    pub by_node: BTreeMap<String, Vec<SpaceId>>,
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
    plan: &CompiledPlan,
    index: usize,
    mut collections: Vec<CollectionSpace>,
) -> Result<SegmentSpaces, JobError> {
    let mut by_node = BTreeMap::new();
    for step in plan.plan.segments[index].steps.iter().filter(|step| step.settings.reads_model()) {
        let mut spaces = Vec::new();
        for name in plan.collections.get(&step.id).into_iter().flatten() {
            let collection = collections.iter_mut().find(|collection| collection.name == *name).ok_or_else(|| {
                let detail = format!("there is no collection `{name}`: create it, or name another one");
                JobError::Fail(Failure::new(FailureCode::CollectionNotFound, detail))
            })?;
            if collection.space_id.is_none() && matches!(step.settings, Settings::Embed(_)) {
                collection.space_id =
                    store::collection::assign_space(&cx.db, workspace, collection.id, cx.spaces.default().id).await?;
            }
            if let Some(space) = collection.space_id {
                // Before anything of the item changes: it waits for a worker that has the model.
                served(cx, space)?;
                spaces.push(space);
            }
        }
        // Without a collection the vectors go elsewhere: they are those of the default model.
        let has_collection = plan.collections.get(&step.id).is_some_and(|collections| !collections.is_empty());
        if !has_collection && matches!(step.settings, Settings::Embed(_)) {
            spaces.push(cx.spaces.default().id);
        }
        spaces.sort_unstable();
        spaces.dedup();
        by_node.insert(step.id.clone(), spaces);
    }
    Ok(SegmentSpaces { by_node, collections })
}

/// How long a job waits that only a worker with another model can do.
const OTHER_SPACE_DELAY: Duration = Duration::from_secs(30);

/// The model of a space.
///
/// # Errors
/// [`JobError::Snooze`] when this worker does not have it: vectors of two spaces never mix.
pub fn served(cx: &Context, id: SpaceId) -> Result<&ServedSpace, JobError> {
    cx.spaces.get(id).ok_or_else(|| JobError::Snooze {
        what: "this worker does not embed in the collection's space",
        delay: OTHER_SPACE_DELAY,
        source: Some(format!("the collection's space is {id}, and no model of NVISY_EMBEDDING_* has it").into()),
    })
}
