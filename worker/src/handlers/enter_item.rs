//! `run.enter`: an item enters a pipeline whose definition the process that accepted its file could not compile. Until a worker can,
//! the item waits.

use nvisy_shared::{
    domain::failure::Failure,
    job::EnterItem,
    runs::{self, Route},
    store::{self, change::Change, job::Claim},
};

use super::item;
use crate::{
    context::Context,
    runner::{Handler, JobError, complete_in_tx},
};

impl Handler for EnterItem {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let item = store::run_item::find(&cx.db, workspace, self.item).await?;
        let item = item.filter(|item| item.state.is_open()).ok_or(JobError::Obsolete)?;
        let plan = cx.plans.get(&cx.db, workspace, item.pipeline_id, item.pipeline_version).await?;
        complete_in_tx(cx, claim, || {
            let plan = &plan.plan;
            let route = Route { pipeline: self.pipeline, collection: self.collection.clone() };
            async move |change: &mut Change| {
                let item = item::open(change, workspace, self.item).await?;
                if !runs::enter(change, workspace, &item, plan, &route).await? {
                    item::finish(change, workspace, &item, plan).await?;
                }
                Ok(())
            }
        })
        .await
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        item::failed(change, claim.workspace_id, self.item, failure, claim.attempts, false).await
    }
}
