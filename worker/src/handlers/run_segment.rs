//! `run.segment`: a segment of a plan for an item, or for some of the elements that enter it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use nvisy_shared::{
    domain::{
        failure::{Failure, FailureCode},
        run::Units,
    },
    id::WorkspaceId,
    job::RunSegment,
    pipeline::{
        content_key::ContentKey,
        options::OnError,
        plan::{Plan, Start},
        port::Flow,
        progress::reachable,
    },
    runs,
    store::{self, change::Change, job::Claim, run_item::Item},
    telemetry::metrics::metrics,
};

use super::{
    completion::Completion,
    conclusion::{Completed, Conclusion},
    item,
};
use crate::{
    context::Context,
    pipeline::{
        connections::{self, SegmentConnections},
        contract::FileFacts,
        effects::Applied,
        element::Elements,
        embedding_connection::Caller,
        engine::{self, Entering, Recompute, SegmentScope},
        limits,
        plans::CompiledPlan,
        preview,
        segment_output::SegmentOutput,
        spaces::{self, SegmentSpaces},
        storage,
    },
    runner::{Handler, JobError, complete_in_tx, write_in_tx},
};

impl Handler for RunSegment {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let item = store::run_item::find(&cx.db, workspace, self.item).await?;
        let item = item.filter(|item| item.state.is_open()).ok_or(JobError::Obsolete)?;
        let open = OpenSegment::open(cx, claim, &item, self.segment).await?;
        // A preview comes through all segments in one job.
        let plan = &open.plan.plan;
        let segments = if item.preview { reachable(plan, item.entry) } else { BTreeSet::from([self.segment]) };
        let steps: Vec<_> = plan.nodes_in(segments).collect();
        limits::admit(cx, claim, &item, &steps).await?;
        let item = if self.segment == item.entry {
            write_in_tx(cx, claim, || {
                async |change| {
                    let item = item::open(change, workspace, self.item).await?;
                    item::started(change, workspace, &item, open.plan.plan.stage(self.segment)).await?;
                    Ok(item)
                }
            })
            .await?
        } else {
            item
        };
        let file = facts(cx, workspace, &item).await?;
        if item.preview {
            return preview::run(cx, claim, self, &item, &open.plan, &file, &open.spaces.collections).await;
        }
        let output = open.compute(self, &item, &file).await?;
        let (applied, searchable_after) = complete_in_tx(cx, claim, || {
            let (output, open) = (&output, &open);
            async move |change: &mut Change| {
                let item = item::open(change, workspace, self.item).await?;
                let completed = open.complete(change, self, item, output).await?;
                let mut conclusion = Conclusion::default();
                let (applied, added) = conclusion.add(completed);
                let ended = conclusion.write(change, workspace).await?;
                item::count(change, workspace, self.run, added, &ended).await?;
                Ok((applied, ended.first().and_then(|ended| ended.searchable_after)))
            }
        })
        .await?;
        count(&output, &applied, searchable_after);
        Ok(())
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let Some(item) = store::run_item::find(change.tx(), workspace, self.item).await? else { return Ok(()) };
        let fails_run = fails_run(change, workspace, &item, failure).await?;
        if fails_run {
            runs::lock_open(change, workspace, &[item.run_id], Some(claim.id)).await?;
        }
        item::failed(change, workspace, self.item, failure, claim.attempts, fails_run).await?;
        if fails_run {
            item::fail_run(change, workspace, &item, failure, claim.id).await?;
        }
        Ok(())
    }
}

/// A segment of a plan, and what its nodes need: the same for all items of a run.
pub(super) struct OpenSegment<'a> {
    cx: &'a Context,
    claim: &'a Claim,
    /// The plan.
    pub(super) plan: Arc<CompiledPlan>,
    segment: usize,
    spaces: SegmentSpaces,
    connections: SegmentConnections,
}

impl<'a> OpenSegment<'a> {
    /// Opens a segment for the items of a run, of which `item` is one.
    pub(super) async fn open(cx: &'a Context, claim: &'a Claim, item: &Item, segment: usize) -> Result<Self, JobError> {
        let workspace = claim.workspace_id;
        let plan = cx.plans.get(&cx.db, workspace, item.pipeline_id, item.pipeline_version).await?;
        if segment >= plan.plan.segments.len() {
            return Err(JobError::retry("the plan has no such segment")(segment.to_string()));
        }
        let collections = store::collection::spaces(&cx.db, workspace).await?;
        let caller = Caller { run: item.run_id, claim: Some(claim.clone()) };
        let spaces = spaces::of_segment(cx, workspace, caller, &plan, segment, collections).await?;
        let connections = connections::of_segment(cx, workspace, &plan, segment).await?;
        Ok(Self { cx, claim, plan, segment, spaces, connections })
    }

    /// Runs the nodes for an item. Writes nothing.
    pub(super) async fn compute(
        &self,
        job: &RunSegment,
        item: &Item,
        file: &FileFacts,
    ) -> Result<SegmentOutput, JobError> {
        let (cx, workspace) = (self.cx, self.claim.workspace_id);
        let entering = enter(cx, workspace, item, &self.plan.plan, job, file).await?;
        let salt = item.run_id.0.as_bytes();
        let scope = SegmentScope {
            cx,
            workspace,
            run: item.run_id,
            pipeline: item.pipeline_id,
            preview: false,
            version: item.version_id,
            file,
            plan: &self.plan.plan,
            spaces: &self.spaces.by_node,
            connections: &self.connections,
            file_id: item.file_id,
            claim: self.claim,
            attempt: self.claim.attempts,
            recompute: item.recompute_from.as_deref().map(|node| Recompute { node, salt }),
            reuse: true,
            keeps_results: item.keeps_results(),
        };
        engine::run(&scope, self.segment, entering).await
    }

    /// Writes the output for an item that is locked.
    pub(super) async fn complete(
        &self,
        change: &mut Change,
        job: &RunSegment,
        item: Item,
        output: &SegmentOutput,
    ) -> Result<Completed, JobError> {
        let workspace = self.claim.workspace_id;
        let done = Completion { cx: self.cx, change, workspace, job, item, plan: &self.plan, output };
        done.run(&self.spaces.collections).await
    }
}

/// Counts what a job has written, after the commit: vectors of an attempt that did not commit do not count.
pub(super) fn count(output: &SegmentOutput, applied: &Applied, searchable_after: Option<Duration>) {
    if applied.vectors > 0 {
        metrics().embedded(applied.vectors, output.work.tokens);
    }
    if let Some(after) = searchable_after {
        metrics().file_searchable(after);
    }
}

/// Whether the node that failed says that its failure is that of the run.
async fn fails_run(change: &Change, workspace: WorkspaceId, item: &Item, failure: &Failure) -> Result<bool, JobError> {
    // No further item may spend anything.
    if failure.code == FailureCode::BudgetExceeded {
        return Ok(true);
    }
    let Some(node) = &failure.node else { return Ok(false) };
    let definition = store::run::definition(change.tx(), workspace, item.pipeline_id, item.pipeline_version).await?;
    let compiled = definition.and_then(|definition| nvisy_shared::pipeline::compile(&definition).ok());
    let steps = compiled.iter().flat_map(|compiled| &compiled.plan.segments).flat_map(|segment| &segment.steps);
    Ok(steps.into_iter().any(|step| step.id == *node && step.options.on_error == Some(OnError::FailRun)))
}

/// The properties of the item's file.
async fn facts(cx: &Context, workspace: WorkspaceId, item: &Item) -> Result<FileFacts, JobError> {
    let facts = store::processing::facts(&cx.db, workspace, item.version_id).await?.ok_or(JobError::Obsolete)?;
    Ok(FileFacts::new(facts))
}

/// The elements that enter the job.
async fn enter(
    cx: &Context,
    workspace: WorkspaceId,
    item: &Item,
    plan: &Plan,
    job: &RunSegment,
    file: &FileFacts,
) -> Result<Entering, JobError> {
    let segment = &plan.segments[job.segment];
    if job.segment == item.entry {
        let elements = match segment.start {
            Start::Source => Elements::empty(Flow::Bytes),
            _ => Elements::Bytes(vec![file.content.clone()]),
        };
        return Ok(Entering { elements, key: engine::file_key(file) });
    }
    let flow = segment.steps[0].input.unwrap_or(Flow::Bytes);
    let units = job.units.unwrap_or(Units { first: 0, end: u32::MAX });
    let mut elements = Elements::empty(flow);
    let mut keys = Vec::new();
    let mut place = 0_u32;
    for origin in plan.inputs(job.segment) {
        let Some(stored) = item.progress.outputs.get(&origin) else { continue };
        keys.push(stored.key);
        let end = place.saturating_add(stored.elements);
        let (from, to) = (units.first.max(place), units.end.min(end));
        if from < to {
            let range = (from - place).into()..(to - place).into();
            let part = storage::range(cx, workspace, stored.artifact, flow, range.start, range.end).await?;
            elements.append(part);
        }
        place = end;
    }
    let mut parts: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
    let range = job.units.map(|units| [units.first.to_le_bytes(), units.end.to_le_bytes()].concat());
    parts.extend(range.as_deref());
    let key = match (keys.as_slice(), &range) {
        ([key], None) => *key,
        _ => ContentKey::of(parts),
    };
    Ok(Entering { elements, key })
}
