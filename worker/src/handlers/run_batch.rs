//! `run.batch`: a segment behind a border, for a batch of an item's chunks.

use std::time::Duration;

use async_trait::async_trait;
use nvisy_shared::{
    domain::{failure::Failure, file::FileState},
    job::RunBatch,
    store::{self, change::Change, job::Claim, run::Item},
    telemetry::metrics::metrics,
};

use super::progress;
use crate::{
    context::Context,
    pipeline::{
        artifact::Artifact,
        contract::{Effect, Scope},
        engine,
    },
    runner::{Handler, JobError, complete_in_tx},
};

#[async_trait]
impl Handler for RunBatch {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let item = store::run::find_item(&cx.db, workspace, self.item).await?;
        // The file was deleted, or another batch failed it.
        let item = item.filter(|item| item.state == FileState::Processing).ok_or(JobError::Obsolete)?;
        // A workspace without vectors gets the space of its first ones.
        let space_id = match item.space_id {
            None => store::space::assign_default(&cx.db, workspace, cx.space).await?,
            settled => settled,
        };
        let item = Item { space_id, ..item };
        super::check_space(cx, &item)?;
        let plan = super::compile(&item)?;
        if self.segment >= plan.segments.len() {
            return Err(JobError::retry("the plan has no such segment")(self.segment.to_string()));
        }
        let passages = store::chunk::passages(&cx.db, workspace, item.version_id, self.first..self.end).await?;
        let tokens = passages.iter().map(|passage| u64::try_from(passage.tokens).unwrap_or(0)).sum();
        let scope = Scope { cx, workspace, item: &item };
        let output = engine::run(&scope, &plan, self.segment, Artifact::Passages(passages)).await?;

        let chunks = output.effects.iter().map(Effect::vectors).sum();
        let seconds = complete_in_tx(cx, claim, || {
            async |change| {
                // The lock decides which of concurrent batches is the last.
                let item = progress::open_item(change, workspace, self.item).await?;
                for effect in &output.effects {
                    effect.apply(change, workspace, &item).await?;
                }
                let units = self.end - self.first;
                store::run::add_done(change, workspace, item.id, units).await?;
                if Some(item.done + units) >= item.total {
                    let chunks =
                        item.total.unwrap_or_default() / i32::try_from(plan.after(0).count()).unwrap_or(1).max(1);
                    // The space of the workspace changed during the run: search must not find a part of the file.
                    if store::chunk::delete_mixed_vectors(change, workspace, item.version_id, cx.space).await? {
                        super::enqueue_batches(change, cx, workspace, &item, &plan, chunks).await?;
                        return Ok(None);
                    }
                    progress::finished(change, workspace, &item).await
                } else {
                    let done = item.done + units;
                    if progress::is_step(item.done, done, item.total) {
                        progress::progressed(change, &item, plan.stage(self.segment), done, item.total);
                    }
                    Ok(None)
                }
            }
        })
        .await?;
        // Counted after the commit: vectors of an attempt that did not commit do not count.
        if chunks > 0 {
            metrics().embedded(chunks, tokens);
        }
        if let Some(seconds) = seconds {
            metrics().file_searchable(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        }
        Ok(())
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        progress::failed(change, claim.workspace_id, self.item, failure).await
    }
}
