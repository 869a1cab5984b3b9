//! `run.segment`: a segment of a plan for an item, or for some of the elements that enter it.

use std::collections::HashMap;

use async_trait::async_trait;
use nvisy_shared::{
    config::EmbeddingProvider,
    domain::{
        failure::{Failure, FailureCode},
        run::{LogKind, Units},
    },
    id::{ArtifactId, WorkspaceId},
    job::RunSegment,
    pipeline::{
        content_key::ContentKey,
        options::OnError,
        plan::{Origin, Plan, Start},
        port::Flow,
        progress::{NextJob, Progress, StoredOutput},
    },
    queue::outbox,
    store::{
        self,
        artifact::NewArtifact,
        change::Change,
        collection::{CollectionSpace, OverfullCollection},
        item_log::NewEntry,
        job::Claim,
        run::Item,
    },
    telemetry::metrics::metrics,
};

use super::item;
use crate::{
    context::Context,
    pipeline::{
        connections,
        contract::FileFacts,
        effects::{self, Applied},
        element::Elements,
        embedding_connection::Caller,
        engine::{self, Content, Entering, Kept, Recompute, SegmentOutput, SegmentScope},
        limits,
        plans::CompiledPlan,
        preview, spaces, storage,
    },
    runner::{Handler, JobError, complete_in_tx, write_in_tx},
};

/// How often an item begins again because the space of a collection has changed.
const MAX_RESTARTS: u32 = 3;

#[async_trait]
impl Handler for RunSegment {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let item = store::run::find_item(&cx.db, workspace, self.item).await?;
        let item = item.filter(|item| item.state.is_open()).ok_or(JobError::Obsolete)?;
        let plan = cx.plans.get(&cx.db, workspace, item.pipeline_id, item.pipeline_version).await?;
        if self.segment >= plan.plan.segments.len() {
            return Err(JobError::retry("the plan has no such segment")(self.segment.to_string()));
        }
        let collections = store::collection::spaces(&cx.db, workspace).await?;
        let caller = Caller { run: item.run_id, claim: Some(claim.clone()) };
        let spaces = spaces::of_segment(cx, workspace, caller, &plan, self.segment, collections).await?;
        let connections = connections::of_segment(cx, workspace, &plan, self.segment).await?;
        limits::admit(cx, claim, &item, &plan.plan.segments[self.segment]).await?;
        let item = if self.segment == item.entry {
            write_in_tx(cx, claim, || {
                async |change| {
                    let item = item::open(change, workspace, self.item).await?;
                    item::started(change, workspace, &item, plan.plan.stage(self.segment)).await?;
                    Ok(item)
                }
            })
            .await?
        } else {
            item
        };
        let file = facts(cx, workspace, &item).await?;
        if item.preview {
            return preview::run(cx, claim, self, &item, &plan, &file, &spaces.collections).await;
        }
        let entering = enter(cx, workspace, &item, &plan.plan, self, &file).await?;
        let salt = item.run_id.0.as_bytes();
        let scope = SegmentScope {
            cx,
            workspace,
            run: item.run_id,
            pipeline: item.pipeline_id,
            preview: false,
            version: item.version_id,
            file: &file,
            plan: &plan.plan,
            spaces: &spaces.by_node,
            connections: &connections,
            file_id: item.file_id,
            claim,
            attempt: claim.attempts,
            recompute: item.recompute_from.as_deref().map(|node| Recompute { node, salt }),
            reuse: true,
        };
        let output = engine::run(&scope, self.segment, entering).await?;
        let (applied, finished) = complete_in_tx(cx, claim, || {
            let (output, plan, collections) = (&output, &plan, &spaces.collections);
            async move |change: &mut Change| {
                let item = item::open(change, workspace, self.item).await?;
                let mut done = Completion { cx, change, workspace, job: self, item, plan, output };
                done.run(collections).await
            }
        })
        .await?;
        // Counted after the commit: vectors of an attempt that did not commit do not count.
        if applied.vectors > 0 {
            metrics().embedded(applied.vectors, output.work.tokens);
        }
        if let Some(after) = finished.searchable_after {
            metrics().file_searchable(after);
        }
        Ok(())
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let Some(item) = store::run::find_item(change.tx(), workspace, self.item).await? else { return Ok(()) };
        let fails_run = fails_run(change, workspace, &item, failure).await?;
        item::failed(change, workspace, self.item, failure, claim.attempts, fails_run).await?;
        if fails_run {
            item::fail_run(change, workspace, &item, failure, claim.id).await?;
        }
        Ok(())
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
pub(super) async fn facts(cx: &Context, workspace: WorkspaceId, item: &Item) -> Result<FileFacts, JobError> {
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

/// The end of a job: everything that it writes.
struct Completion<'a> {
    cx: &'a Context,
    change: &'a mut Change,
    workspace: WorkspaceId,
    job: &'a RunSegment,
    item: Item,
    plan: &'a CompiledPlan,
    output: &'a SegmentOutput,
}

impl Completion<'_> {
    async fn run(&mut self, collections: &[CollectionSpace]) -> Result<(Applied, item::Finished), JobError> {
        let (workspace, plan, segment) = (self.workspace, &self.plan.plan, self.job.segment);
        let first = self.job.units.map_or(0, |units| units.first);
        let paths = plan.paths(segment);
        let place = |node: &str| first.saturating_mul(paths.get(node).copied().unwrap_or(1));
        let applied =
            effects::apply(self.change, workspace, &self.item, collections, &self.output.effects, place).await?;
        self.item.progress.written += applied.written + applied.members.len() as u64;
        self.item.progress.files.extend(&applied.files);
        if applied.written > 0 {
            self.check_quota(0).await?;
        }
        for failure in &self.output.skipped {
            let entry = NewEntry::failure(LogKind::NodeSkipped, failure);
            store::item_log::append(self.change, workspace, self.item.id, &entry).await?;
        }
        self.store_outputs().await?;
        self.add_members(&applied).await?;
        self.trace();
        let before = self.item.progress.segments.get(&segment).copied().unwrap_or_default();
        self.item.progress.advance(segment, self.job.units);
        let at = self.item.progress.segments.get(&segment).copied().unwrap_or_default();
        if at.is_complete() && self.job.units.is_some() {
            self.complete_outputs().await?;
        }
        let next = self.item.progress.start_ready(plan, self.item.entry, |_| unit(self.cx));
        self.enqueue(&next).await?;
        let stage = next.first().map(|next| plan.stage(next.segment));
        store::run::store_progress(self.change, workspace, &self.item, stage, self.output.work).await?;
        if self.item.progress.is_complete(plan, self.item.entry) {
            // A provider that rejects every passage of a file gives none of the first space, however often.
            let may_restart = self.item.progress.restarts < MAX_RESTARTS;
            if may_restart && store::target::has_other_vectors(self.change, workspace, self.item.id).await? {
                self.begin_again().await?;
                return Ok((applied, item::Finished::default()));
            }
            let finished = item::finished(self.change, workspace, &self.item).await?;
            self.check_collections().await?;
            return Ok((applied, finished));
        }
        if let Some(next) = next.first() {
            let total = self.item.progress.segments.get(&next.segment).map(|at| at.total);
            item::progressed(self.change, &self.item, plan.stage(next.segment), 0, total);
        } else if item::is_step(before.done, at.done, at.total) {
            item::progressed(self.change, &self.item, plan.stage(segment), at.done, Some(at.total));
        }
        Ok((applied, item::Finished::default()))
    }

    /// Lets the item begin again: the space of a collection changed while it was embedded, and search must not find a part of it.
    /// What does not depend on the space is found by its content keys.
    async fn begin_again(&mut self) -> Result<(), JobError> {
        store::target::discard(self.change, self.workspace, self.item.id).await?;
        let (progress, job) = Progress::begin(self.item.entry);
        self.item.progress = Progress { restarts: self.item.progress.restarts + 1, ..progress };
        let stage = Some(self.plan.plan.stage(self.item.entry));
        let work = store::run::WorkDone::default();
        store::run::store_progress(self.change, self.workspace, &self.item, stage, work).await?;
        self.enqueue_job(self.item.id, job).await
    }

    /// Keeps outputs for later runs, and those that other segments take.
    async fn store_outputs(&mut self) -> Result<(), JobError> {
        let mut stored: HashMap<ContentKey, (ArtifactId, u32)> = HashMap::new();
        for memo in &self.output.memos {
            let kept = self.store(memo, memo.key, true, 0).await?;
            stored.insert(memo.key, kept);
        }
        let unit = self.job.units.map_or(0, |units| units.first);
        for (origin, kept) in &self.output.exports {
            let known = stored.get(&kept.key).copied();
            let (artifact, elements) = match known {
                Some(known) => known,
                None => self.store(kept, self.key(*origin, kept), self.job.units.is_none(), unit).await?,
            };
            let elements = i64::from(elements);
            let unlimited = kept_flow(&self.plan.plan, *origin) != Some(Flow::Chunks);
            if !unlimited {
                self.check_quota(elements).await?;
            }
            // Of a divided segment the number is known when all parts are there.
            let before = self.item.progress.outputs.get(origin).filter(|_| self.job.units.is_some());
            let elements = before.map_or(0, |before| before.elements) + u32::try_from(elements).unwrap_or(u32::MAX);
            self.item
                .progress
                .outputs
                .insert(*origin, StoredOutput { artifact, elements, key: self.key(*origin, kept) });
        }
        Ok(())
    }

    /// The key under which an output is stored: of a divided segment, one for the item, to which each unit adds its part.
    fn key(&self, origin: Origin, kept: &Kept) -> ContentKey {
        if self.job.units.is_none() {
            return kept.key;
        }
        let place = [origin.segment, origin.step, origin.output].map(|part| (part as u64).to_le_bytes());
        ContentKey::of([self.item.id.0.as_bytes().as_slice(), place.as_flattened()])
    }

    async fn store(
        &self,
        kept: &Kept,
        key: ContentKey,
        complete: bool,
        unit: u32,
    ) -> Result<(ArtifactId, u32), JobError> {
        let of = (self.item.file_id, self.item.version_id);
        match &kept.content {
            Content::Stored(found) => {
                let artifact = store::artifact::adopt(self.change, self.workspace, of, found).await?;
                Ok((artifact, u32::try_from(found.elements).unwrap_or_default()))
            }
            Content::New(elements, effects) => {
                let new = NewArtifact {
                    key,
                    node_type: kept.node_type,
                    flow: elements.flow(),
                    effects: storage::write_effects(effects)?,
                    parts: storage::parts(elements, unit)?,
                    complete,
                };
                let artifact = store::artifact::insert(self.change, self.workspace, of, new).await?;
                Ok((artifact, u32::try_from(elements.len()).unwrap_or(u32::MAX)))
            }
        }
    }

    /// Ends the outputs of a divided segment, whose last unit this was.
    async fn complete_outputs(&mut self) -> Result<(), JobError> {
        for origin in self.plan.plan.exports(self.job.segment) {
            if let Some(output) = self.item.progress.outputs.get_mut(&origin) {
                let elements = store::artifact::complete(self.change, self.workspace, output.artifact).await?;
                output.elements = u32::try_from(elements).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Adds members of the file as items of the run, which enter behind the output that gives them.
    async fn add_members(&mut self, applied: &Applied) -> Result<(), JobError> {
        if applied.members.is_empty() {
            return Ok(());
        }
        let plan = &self.plan.plan;
        let mut items = Vec::new();
        for member in &applied.members {
            for entry in preview::entries_behind(plan, self.job.segment, &member.node) {
                items.push(store::run::NewItem {
                    file: member.file,
                    version: member.version,
                    entry,
                    parent: Some(self.item.id),
                    stage: plan.stage(entry).to_owned(),
                });
            }
        }
        let entries: Vec<usize> = items.iter().map(|item| item.entry).collect();
        let ids = store::run::insert_items(self.change, self.workspace, self.item.run_id, items).await?;
        for (item, segment) in ids.into_iter().zip(entries) {
            self.enqueue_job(item, NextJob { segment, units: None }).await?;
        }
        Ok(())
    }

    fn trace(&mut self) {
        for trace in &self.output.trace {
            let node = self.item.progress.nodes.entry(trace.node.clone()).or_default();
            node.millis += u64::try_from(trace.took.as_millis()).unwrap_or_default();
            node.reused = trace.reused;
            for (port, elements) in &trace.ports {
                *node.elements.entry(port.clone()).or_default() += elements.len() as u64;
            }
        }
    }

    async fn enqueue(&mut self, jobs: &[NextJob]) -> Result<(), JobError> {
        for job in jobs {
            self.enqueue_job(self.item.id, *job).await?;
        }
        Ok(())
    }

    async fn enqueue_job(&mut self, item: nvisy_shared::id::ItemId, job: NextJob) -> Result<(), JobError> {
        let lane = Some(self.plan.plan.segments[job.segment].lane);
        let (run, low_priority) = (self.item.run_id, self.item.low_priority);
        let job = RunSegment { run, item, segment: job.segment, units: job.units, lane, low_priority };
        outbox::enqueue(self.change, self.workspace, &job).await?;
        Ok(())
    }

    /// Fails the item if the workspace exceeds its quota of chunks, with so many more.
    async fn check_quota(&self, more: i64) -> Result<(), JobError> {
        let usage = store::usage::find(self.change.tx(), self.workspace, self.cx.quota()).await?;
        let usage = usage.ok_or(JobError::Obsolete)?;
        let (used, limit) = (usage.used.chunks + more, usage.limits.chunks);
        if used <= limit {
            return Ok(());
        }
        let detail = format!("the workspace may have {limit} chunks, and with this file it would have {used}");
        Err(JobError::Fail(Failure::new(FailureCode::QuotaExceeded, detail)))
    }

    /// Fails the item if it makes a collection larger than it may be.
    async fn check_collections(&self) -> Result<(), JobError> {
        match store::collection::find_overfull(self.change.tx(), self.workspace, self.item.id).await? {
            None => Ok(()),
            Some(OverfullCollection { name, chunks, max_chunks }) => {
                let detail = format!(
                    "the collection `{name}` may have {max_chunks} chunks, and with this file it would have {chunks}"
                );
                Err(JobError::Fail(Failure::new(FailureCode::QuotaExceeded, detail)))
            }
        }
    }
}

fn kept_flow(plan: &Plan, origin: Origin) -> Option<Flow> {
    plan.segments[origin.segment].steps[origin.step].outputs[origin.output].flow
}

/// Elements of one unit where `NVISY_WORKER_BATCH_CHUNKS` is 0. The local model gains nothing by longer units, and a short file waits
/// for those in progress; a server gets fewer requests.
pub(super) fn unit(cx: &Context) -> u32 {
    match (cx.config.worker.batch_chunks, cx.config.embedding.provider) {
        (0, EmbeddingProvider::Local) => 8,
        (0, EmbeddingProvider::Openai) => 32,
        (chunks, _) => u32::try_from(chunks).unwrap_or(u32::MAX),
    }
}
