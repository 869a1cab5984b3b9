//! `run.retry`: failed items of many runs go back into the queue, one batch after another, so that no transaction grows with their
//! number.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nvisy_shared::{
    domain::failure::Failure,
    id::{PipelineId, WorkspaceId},
    job::RetryItems,
    queue::outbox,
    runs::{self, PlansByVersion},
    store::{self, change::Change, failed_items::FailedItem, job::Claim},
};

use crate::{
    context::Context,
    pipeline::plans::{CompiledPlan, PlanError},
    runner::{Handler, JobError, complete_in_tx},
};

/// Items of one job.
const BATCH_ITEMS: i64 = 200;
/// How long the job waits while the workspace has as many unfinished runs as it may have.
const WAIT_FOR_RUNS: Duration = Duration::from_millis(500);

impl Handler for RetryItems {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let limit = batch_size(cx, workspace).await?.min(self.left.into());
        let found = store::failed_items::page(&cx.db, workspace, &self.items, self.until, self.after, limit).await?;
        let plans = plans(cx, workspace, &found).await?;
        let next = behind(self, &found, limit);
        complete_in_tx(cx, claim, || {
            let (found, plans, next) = (&found, &plans, next.as_ref());
            async move |change: &mut Change| {
                let plans: PlansByVersion<'_> = plans.iter().map(|(key, plan)| (*key, &plan.plan)).collect();
                runs::requeue(change, workspace, found.iter().map(|item| item.id).collect(), &plans).await?;
                if let Some(next) = next {
                    outbox::enqueue(change, workspace, next).await?;
                }
                Ok(())
            }
        })
        .await
    }

    async fn give_up(&self, _: &mut Change, _: &Claim, _: &Failure) -> Result<(), JobError> {
        // The items stay failed, and can be retried again.
        Ok(())
    }
}

/// The job of the failed items behind a page; `None`: that was the last one.
fn behind(job: &RetryItems, page: &[FailedItem], limit: i64) -> Option<RetryItems> {
    let read = u32::try_from(page.len()).unwrap_or(u32::MAX);
    let left = job.left.saturating_sub(read);
    let is_full = i64::from(read) == limit && left > 0;
    is_full.then(|| RetryItems { after: page.last().map(|item| item.id), left, ..*job })
}

/// The size of a batch. A run of one upload is opened again by its item, and counts in the quota of unfinished runs.
async fn batch_size(cx: &Context, workspace: WorkspaceId) -> Result<i64, JobError> {
    let usage = store::usage::find(&cx.db, workspace, cx.quota()).await?.ok_or(JobError::Obsolete)?;
    let free = usage.limits.runs - usage.used.runs;
    if free > 0 {
        return Ok(free.min(BATCH_ITEMS));
    }
    let what = "the workspace has as many unfinished runs as it may have";
    Err(JobError::Snooze { what, delay: WAIT_FOR_RUNS, source: None })
}

/// The plans of the items, without those of pipelines that were deleted meanwhile, or that only a newer worker can compile: their
/// items wait for one.
async fn plans(
    cx: &Context,
    workspace: WorkspaceId,
    items: &[FailedItem],
) -> Result<BTreeMap<(PipelineId, i32), Arc<CompiledPlan>>, JobError> {
    let mut plans = BTreeMap::new();
    for item in items {
        let key = (item.pipeline_id, item.pipeline_version);
        if plans.contains_key(&key) {
            continue;
        }
        match cx.plans.get(&cx.db, workspace, item.pipeline_id, item.pipeline_version).await {
            Ok(plan) => drop(plans.insert(key, plan)),
            Err(PlanError::Deleted | PlanError::Invalid(_)) => {}
            Err(PlanError::Store(error)) => return Err(error.into()),
        }
    }
    Ok(plans)
}
