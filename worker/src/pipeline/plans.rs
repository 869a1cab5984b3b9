//! The plans of pipelines, compiled once for each version: a version never changes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use nvisy_shared::{
    id::{PipelineId, WorkspaceId},
    pipeline::{self, InvalidDefinition, plan::Plan},
    store::{self, Db},
};

/// Plans that a worker remembers.
const MAX_PLANS: usize = 1_000;

/// A plan, and what follows from it.
#[derive(Debug)]
pub struct CompiledPlan {
    /// The plan.
    pub plan: Plan,
    /// The names of the collections behind each node.
    pub collections: BTreeMap<String, Vec<String>>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The pipeline was deleted.
    #[error("the pipeline was deleted")]
    Deleted,
    /// This version cannot compile the definition, which a newer one has stored.
    #[error("the definition of the pipeline is not valid")]
    Invalid(#[from] InvalidDefinition),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

type KnownPlans = HashMap<(PipelineId, i32), Arc<CompiledPlan>>;

/// Plans by pipeline and version.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    known: Arc<Mutex<KnownPlans>>,
}

impl Plans {
    /// The plan of a pipeline's version.
    ///
    /// # Errors
    /// [`PlanError`].
    pub async fn get(
        &self,
        db: &Db,
        workspace: WorkspaceId,
        pipeline: PipelineId,
        version: i32,
    ) -> Result<Arc<CompiledPlan>, PlanError> {
        let key = (pipeline, version);
        if let Some(plan) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(plan));
        }
        let definition = store::run::definition(db, workspace, pipeline, version).await?.ok_or(PlanError::Deleted)?;
        let plan = pipeline::compile(&definition)?.plan;
        let plan = Arc::new(CompiledPlan { collections: plan.collections_behind(), plan });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_PLANS {
            known.clear();
        }
        known.insert(key, Arc::clone(&plan));
        Ok(plan)
    }
}
