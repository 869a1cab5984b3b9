//! The handlers of jobs, one for each payload.

mod progress;
mod run_batch;
mod run_segment;
mod send_mail;

use std::time::Duration;

use nvisy_shared::{
    config::EmbeddingProvider,
    id::WorkspaceId,
    job::{RunBatch, RunSegment, SendMail},
    pipeline::{self, plan::Plan},
    queue::outbox,
    store::{self, change::Change, run::Item},
};

use crate::{
    context::Context,
    runner::{JobError, Registry},
};

/// The registry of all handlers.
#[must_use]
pub fn registry() -> Registry {
    Registry::default().with::<RunSegment>().with::<RunBatch>().with::<SendMail>()
}

/// The plan of an item's run. Its definition was validated before it was stored.
fn compile(item: &Item) -> Result<Plan, JobError> {
    let compiled = pipeline::compile(&item.definition);
    Ok(compiled.map_err(JobError::retry("the definition of the pipeline is not valid"))?.plan)
}

/// How long a job waits that only a worker of another embedding space can do.
const OTHER_SPACE_DELAY: Duration = Duration::from_secs(30);

/// Checks that this worker embeds in the space of the workspace: chunks fit one model, and its vectors belong to one space.
fn check_space(cx: &Context, item: &Item) -> Result<(), JobError> {
    match item.space_id {
        Some(space) if space != cx.space => Err(JobError::Snooze {
            what: "this worker does not embed in the workspace's space",
            delay: OTHER_SPACE_DELAY,
            source: Some(format!("the workspace's space is {space}, that of NVISY_EMBEDDING_* is {}", cx.space).into()),
        }),
        Some(_) | None => Ok(()),
    }
}

/// Chunks of a batch where `NVISY_WORKER_BATCH_CHUNKS` is 0. The local model gains nothing by longer ones, and a short file waits
/// for the batches in progress; a server gets fewer requests.
fn batch_chunks(cx: &Context) -> i32 {
    let chunks = match (cx.config.worker.batch_chunks, cx.config.embedding.provider) {
        (0, EmbeddingProvider::Local) => 8,
        (0, EmbeddingProvider::Openai) => 32,
        (chunks, _) => chunks,
    };
    i32::try_from(chunks).unwrap_or(i32::MAX)
}

/// Enqueues all batches of the work behind the first border.
async fn enqueue_batches(
    change: &mut Change,
    cx: &Context,
    workspace: WorkspaceId,
    item: &Item,
    plan: &Plan,
    chunks: i32,
) -> Result<(), JobError> {
    let next: Vec<usize> = plan.after(0).collect();
    let Some(&first) = next.first() else { return Ok(()) };
    let total = chunks.saturating_mul(i32::try_from(next.len()).unwrap_or(i32::MAX));
    store::run::enter_stage(change, workspace, item.id, plan.stage(first), total).await?;
    let step = batch_chunks(cx);
    for segment in next {
        let mut from = 0;
        while from < chunks {
            let end = from.saturating_add(step).min(chunks);
            outbox::enqueue(change, workspace, &RunBatch { item: item.id, segment, first: from, end }).await?;
            from = end;
        }
    }
    progress::progressed(change, item, plan.stage(first), 0, Some(total));
    Ok(())
}
