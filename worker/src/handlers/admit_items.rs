//! `run.admit`: the files of a run enter one page after another, while few of its items are in progress. So the memory and the
//! queue of a run do not grow with the number of its files.

use std::time::Duration;

use async_trait::async_trait;
use nvisy_shared::{
    domain::{failure::Failure, filter::Filter, run::RunState},
    id::{FileId, VersionId, WorkspaceId},
    job::AdmitItems,
    pipeline::{node::Settings, plan::Plan},
    queue::outbox,
    runs::{self, Selection},
    store::{self, change::Change, job::Claim, run::NewItem, selection::Named},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    context::Context,
    runner::{Handler, JobError, complete_in_tx},
};

/// Files of one page.
const PAGE_FILES: i64 = 200;
/// Unfinished items of a run above which no more enter.
const MAX_OPEN_ITEMS: i32 = 1_000;
/// How long the source waits while there are so many.
const WAIT_FOR_ITEMS: Duration = Duration::from_millis(500);

/// How far the sources of a run were read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Checkpoint {
    /// The place of the source among those of the plan.
    source: usize,
    /// The last file of it that entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<FileId>,
    /// The number of files that entered.
    entered: u32,
}

/// A page of files for a source, and the checkpoint behind it; `None`: there are no more.
struct Page {
    entry: usize,
    files: Vec<(FileId, VersionId)>,
    next: Option<Checkpoint>,
}

#[async_trait]
impl Handler for AdmitItems {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let run = store::run::find(&cx.db, workspace, self.run).await?;
        let run = run.filter(|run| run.state.is_open() && !run.admitted).ok_or(JobError::Obsolete)?;
        if run.items_open >= MAX_OPEN_ITEMS {
            let what = "enough items of the run are in progress";
            return Err(JobError::Snooze { what, delay: WAIT_FOR_ITEMS, source: None });
        }
        let plan = cx.plans.get(&cx.db, workspace, run.pipeline_id, run.pipeline_version).await?;
        let selection: Selection = read(run.selection.clone())?;
        let checkpoint: Checkpoint = read(run.checkpoint.clone())?;
        let page = page(cx, workspace, &plan.plan, &selection, checkpoint).await?;
        complete_in_tx(cx, claim, || {
            let (plan, page, run) = (&plan.plan, &page, &run);
            async move |change: &mut Change| {
                let items: Vec<_> = page
                    .files
                    .iter()
                    .map(|&(file, version)| {
                        let stage = plan.stage(page.entry).to_owned();
                        NewItem { file, version, entry: page.entry, parent: None, stage }
                    })
                    .collect();
                for item in store::run::insert_items(change, workspace, self.run, items).await? {
                    let job = runs::segment_job(plan, (self.run, run.low_priority), item, page.entry, None);
                    outbox::enqueue(change, workspace, &job).await?;
                }
                let checkpoint = page.next.as_ref().map(|next| json!(next));
                let admitted = checkpoint.is_none();
                store::run::set_checkpoint(change, workspace, self.run, checkpoint, admitted).await?;
                if !admitted {
                    outbox::enqueue(change, workspace, self).await?;
                } else if let Some(state) = store::run::finish_run(change, workspace, self.run).await? {
                    runs::ended_without_items(change, self.run, run.pipeline_id, state);
                }
                Ok(())
            }
        })
        .await
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        runs::abort(change, workspace, self.run, RunState::Failed, Some(failure), Some(claim.id)).await?;
        Ok(())
    }
}

fn read<T: Default + serde::de::DeserializeOwned>(json: Option<serde_json::Value>) -> Result<T, JobError> {
    match json {
        None => Ok(T::default()),
        Some(json) => serde_json::from_value(json).map_err(JobError::retry("the selection of the run cannot be read")),
    }
}

/// The next files of the sources.
async fn page(
    cx: &Context,
    workspace: WorkspaceId,
    plan: &Plan,
    selection: &Selection,
    checkpoint: Checkpoint,
) -> Result<Page, JobError> {
    let sources: Vec<_> = sources(plan);
    let left = selection.limit.map_or(u32::MAX, |limit| limit.saturating_sub(checkpoint.entered));
    let Some((entry, of_source, limit)) = sources.get(checkpoint.source).cloned().filter(|_| left > 0) else {
        return Ok(Page { entry: 0, files: Vec::new(), next: None });
    };
    let own = selection.filter.as_ref().and_then(|filter| Filter::parse(filter).ok());
    let filters: Vec<_> = of_source.into_iter().chain(own).collect();
    let left = left.min(limit.map_or(u32::MAX, |limit| limit.saturating_sub(checkpoint.entered)));
    let size = PAGE_FILES.min(i64::from(left));
    let named =
        Named { files: selection.files.as_deref(), items_of: selection.items_of.map(|items| (items.run, items.state)) };
    let found = store::selection::page(&cx.db, workspace, named, &filters, checkpoint.after, size).await?;
    let entered = checkpoint.entered + u32::try_from(found.len()).unwrap_or(u32::MAX);
    let more = i64::try_from(found.len()).unwrap_or(i64::MAX) == PAGE_FILES;
    let next = if more {
        Some(Checkpoint { after: found.last().map(|(file, _)| *file), entered, ..checkpoint })
    } else if checkpoint.source + 1 < sources.len() {
        Some(Checkpoint { source: checkpoint.source + 1, after: None, entered })
    } else {
        None
    };
    Ok(Page { entry, files: found, next })
}

/// The sources of a plan: their segments, filters and limits.
fn sources(plan: &Plan) -> Vec<(usize, Option<Filter>, Option<u32>)> {
    let filter = |filter: &Option<nvisy_shared::pipeline::file_filter::FileFilter>| {
        filter.as_ref().and_then(|filter| filter.parse().ok())
    };
    let sources = plan.segments.iter().enumerate().filter_map(|(index, segment)| match &segment.steps[0].settings {
        Settings::SourceFiles(source) => Some((index, filter(&source.filter), None)),
        Settings::SourceSearch(source) => Some((index, filter(&source.filter), Some(source.limit))),
        _ => None,
    });
    sources.collect()
}
