//! `run.segment`: the segment from the source to the first border.

use async_trait::async_trait;
use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    id::WorkspaceId,
    job::RunSegment,
    pipeline::plan::Plan,
    store::{self, Tx, change::Change, job::Claim, run::Item},
};

use super::progress;
use crate::{
    context::Context,
    pipeline::{
        artifact::Artifact,
        contract::Scope,
        engine::{self, SegmentOutput},
    },
    runner::{Handler, JobError, complete_in_tx, write_in_tx},
};

#[async_trait]
impl Handler for RunSegment {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let (item, plan) = write_in_tx(cx, claim, || {
            async |change| {
                let item = progress::open_item(change, workspace, self.item).await?;
                super::check_space(cx, &item)?;
                let plan = super::compile(&item)?;
                progress::started(change, workspace, &item, plan.stage(0)).await?;
                Ok((item, plan))
            }
        })
        .await?;

        let scope = Scope { cx, workspace, item: &item };
        let output = engine::run(&scope, &plan, 0, Artifact::Nothing).await?;
        complete_in_tx(cx, claim, || {
            async |change| {
                let item = progress::open_item(change, workspace, self.item).await?;
                cross_border(change, cx, workspace, &item, &plan, &output).await
            }
        })
        .await
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        progress::failed(change, claim.workspace_id, self.item, failure).await
    }
}

/// Stores the output of the segment and enqueues the work behind the border.
async fn cross_border(
    change: &mut Change,
    cx: &Context,
    workspace: WorkspaceId,
    item: &Item,
    plan: &Plan,
    output: &SegmentOutput,
) -> Result<(), JobError> {
    for effect in &output.effects {
        effect.apply(change, workspace, item).await?;
    }
    let chunks = output.chunks.as_deref().unwrap_or_default();
    let count = i32::try_from(chunks.len()).unwrap_or(i32::MAX);
    if count == 0 || plan.after(0).next().is_none() {
        return progress::finished(change, workspace, item).await.map(drop);
    }
    store::chunk::replace(change, workspace, item.file_id, item.version_id, chunks.to_vec()).await?;
    check_quota(change, cx, workspace).await?;
    super::enqueue_batches(change, cx, workspace, item, plan, count).await
}

/// Fails the file if the workspace now exceeds its quota of chunks.
async fn check_quota(tx: &Tx, cx: &Context, workspace: WorkspaceId) -> Result<(), JobError> {
    let usage = store::usage::find(tx, workspace, cx.quota()).await?.ok_or(JobError::Obsolete)?;
    let (used, limit) = (usage.used.chunks, usage.limits.chunks);
    if used <= limit {
        return Ok(());
    }
    let detail = format!("the workspace may have {limit} chunks, and with this file it would have {used}");
    Err(JobError::Fail(Failure::new(FailureCode::QuotaExceeded, detail)))
}
