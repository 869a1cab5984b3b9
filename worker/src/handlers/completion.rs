//! The end of an item at a segment: everything that it writes, in the transaction that ends the job.

use std::collections::{HashMap, HashSet};

use nvisy_shared::{
    config::EmbeddingProvider,
    domain::{
        failure::{Failure, FailureCode},
        quota::Resource,
        run::LogKind,
    },
    id::{ArtifactId, ItemId, WorkspaceId},
    job::RunSegment,
    pipeline::{
        content_key::ContentKey,
        plan::{Origin, Plan},
        port::Flow,
        progress::{NextJob, Progress, Replaces, StoredOutput},
    },
    queue::outbox,
    store::{
        self,
        artifact::NewArtifact,
        change::Change,
        collection::CollectionSpace,
        item_log::NewEntry,
        run_item::{Item, ItemProgress},
    },
};

use super::{
    conclusion::{Completed, Course},
    item::{self, ItemOutcome},
};
use crate::{
    context::Context,
    pipeline::{
        effects::{self, Applied},
        plans::CompiledPlan,
        preview,
        segment_output::{Content, Kept, SegmentOutput},
        storage,
    },
    runner::JobError,
};

/// How often an item begins again because the space of a collection has changed.
const MAX_RESTARTS: u32 = 3;
/// With more elements, as a file of some twenty pages has, a segment has longer units.
const LONG_FILE_ELEMENTS: u32 = 64;

/// The end of a job: everything that it writes.
pub(super) struct Completion<'a> {
    pub(super) cx: &'a Context,
    pub(super) change: &'a mut Change,
    pub(super) workspace: WorkspaceId,
    pub(super) job: &'a RunSegment,
    /// Locked.
    pub(super) item: Item,
    pub(super) plan: &'a CompiledPlan,
    pub(super) output: &'a SegmentOutput,
}

impl Completion<'_> {
    /// Writes the output, and finds the jobs that it makes ready, or the end of the item.
    pub(super) async fn run(mut self, collections: &[CollectionSpace]) -> Result<Completed, JobError> {
        let (workspace, plan, segment) = (self.workspace, &self.plan.plan, self.job.segment);
        let first = self.job.units.map_or(0, |units| units.first);
        let paths = plan.paths(segment);
        let place = |node: &str| first.saturating_mul(paths.get(node).copied().unwrap_or(1));
        let applied =
            effects::apply(self.change, workspace, &self.item, collections, &self.output.effects, place).await?;
        self.item.progress.written += applied.written;
        self.item.progress.files.extend(&applied.files);
        if applied.written > 0 {
            let resources: &[Resource] = match applied.has_new_content {
                true => &[Resource::Chunks, Resource::Files, Resource::Bytes],
                false => &[Resource::Chunks],
            };
            self.check_quota(resources, 0).await?;
        }
        for failure in &self.output.skipped {
            let entry = NewEntry::failure(LogKind::NodeSkipped, failure);
            store::item_log::append(self.change, workspace, self.item.id, &entry).await?;
        }
        self.store_outputs().await?;
        let added = self.add_members(&applied).await?;
        self.trace();
        let before = self.item.progress.segments.get(&segment).copied().unwrap_or_default();
        self.item.progress.advance(segment, self.job.units);
        let at = self.item.progress.segments.get(&segment).copied().unwrap_or_default();
        if at.is_complete() && self.job.units.is_some() {
            self.complete_outputs().await?;
        }
        let next = self.item.progress.start_ready(plan, self.item.entry, |elements| unit(self.cx, elements));
        let stage = next.first().map(|next| plan.stage(next.segment).to_owned());
        let (jobs, work) = (self.jobs(&next), self.output.work);
        if self.item.progress.is_complete(plan, self.item.entry) {
            if self.must_begin_again().await? {
                return self.begin_again(applied, added).await;
            }
            let replaces = Replaces::of(plan, self.item.entry);
            let course = Course::Ends(ItemOutcome::finished(self.item, work, replaces));
            return Ok(Completed { applied, added, jobs, course });
        }
        if let Some(next) = next.first() {
            let total = self.item.progress.segments.get(&next.segment).map(|at| at.total);
            item::progressed(self.change, &self.item, plan.stage(next.segment), 0, total);
        } else if item::is_step(before.done, at.done, at.total) {
            item::progressed(self.change, &self.item, plan.stage(segment), at.done, Some(at.total));
        }
        let course = Course::GoesOn(ItemProgress { item: self.item, stage, work });
        Ok(Completed { applied, added, jobs, course })
    }

    /// Whether vectors of the item are not of the space that their collection has by now.
    async fn must_begin_again(&self) -> Result<bool, JobError> {
        // A provider that rejects every passage of a file gives none of the first space, however often.
        let may_begin = self.item.progress.written > 0 && self.item.progress.restarts < MAX_RESTARTS;
        Ok(may_begin && store::target::has_other_vectors(self.change, self.workspace, self.item.id).await?)
    }

    /// Lets the item begin again: the space of a collection changed while it was embedded, and search must not find a part of it.
    /// What does not depend on the space is found by its content keys.
    async fn begin_again(mut self, applied: Applied, added: usize) -> Result<Completed, JobError> {
        store::target::discard(self.change, self.workspace, self.item.id).await?;
        let (progress, job) = self.item.progress.begin_again(self.item.entry);
        self.item.progress = Progress { restarts: progress.restarts + 1, ..progress };
        let jobs = self.jobs(&[job]);
        let stage = Some(self.plan.plan.stage(self.item.entry).to_owned());
        let course = Course::GoesOn(ItemProgress { item: self.item, stage, work: self.output.work });
        Ok(Completed { applied, added, jobs, course })
    }

    /// Keeps outputs for later runs, those that other segments take, and results.
    async fn store_outputs(&mut self) -> Result<(), JobError> {
        let mut stored: HashMap<ContentKey, (ArtifactId, u32)> = HashMap::new();
        for memo in &self.output.memos {
            let kept = self.store(memo, memo.key, true, 0).await?;
            stored.insert(memo.key, kept);
        }
        let unit = self.job.units.map_or(0, |units| units.first);
        let crossing = self.plan.plan.exports(self.job.segment);
        for (origin, kept) in &self.output.exports {
            let known = stored.get(&kept.key).copied();
            let (artifact, elements) = match known {
                Some(known) => known,
                None => self.store(kept, self.key(*origin, kept), self.job.units.is_none(), unit).await?,
            };
            let elements = i64::from(elements);
            // Sinks have written those of results.
            if crossing.contains(origin) && kept_flow(&self.plan.plan, *origin) == Some(Flow::Chunks) {
                self.check_quota(&[Resource::Chunks], elements).await?;
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

    /// The key under which an output is stored: of a divided segment, one for the item, to which each unit adds its part. An item that
    /// begins again may get other elements, or in other units, than it had.
    fn key(&self, origin: Origin, kept: &Kept) -> ContentKey {
        if self.job.units.is_none() {
            return kept.key;
        }
        let place = [origin.segment, origin.step, origin.output].map(|part| (part as u64).to_le_bytes());
        let generation = self.item.progress.generation.to_le_bytes();
        let mut parts = vec![self.item.id.0.as_bytes().as_slice(), place.as_flattened()];
        if self.item.progress.generation > 0 {
            parts.push(&generation);
        }
        ContentKey::of(parts)
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
                let adopted = store::artifact::adopt(self.change, self.workspace, of, found).await?;
                let artifact = adopted.ok_or_else(|| {
                    JobError::retry("an output that was found has been deleted meanwhile")(found.id.to_string())
                })?;
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
                let (artifact, elements) = store::artifact::insert(self.change, self.workspace, of, new).await?;
                Ok((artifact, u32::try_from(elements).unwrap_or_default()))
            }
        }
    }

    /// Ends the outputs of a divided segment, whose last unit this was.
    async fn complete_outputs(&mut self) -> Result<(), JobError> {
        let segment = self.job.segment;
        let outputs = self.item.progress.outputs.iter_mut().filter(|(origin, _)| origin.segment == segment);
        for (_, output) in outputs {
            let elements = store::artifact::complete(self.change, self.workspace, output.artifact).await?;
            output.elements = u32::try_from(elements).unwrap_or_default();
        }
        Ok(())
    }

    /// Adds members of the file as items of the run, which enter behind the output that gives them. Those that the item has added before
    /// it began again go on, or have ended. Returns the number of items.
    async fn add_members(&mut self, applied: &Applied) -> Result<usize, JobError> {
        if applied.members.is_empty() {
            return Ok(0);
        }
        let plan = &self.plan.plan;
        let mut items = Vec::new();
        for member in &applied.members {
            for entry in preview::entries_behind(plan, self.job.segment, &member.node) {
                items.push(store::run_item::NewItem {
                    file: member.file,
                    version: member.version,
                    entry,
                    parent: Some(self.item.id),
                    stage: plan.stage(entry).to_owned(),
                });
            }
        }
        if self.item.progress.generation > 0 {
            let versions = applied.members.iter().map(|member| member.version).collect();
            let known = store::run_item::members(self.change, self.workspace, self.item.id, versions).await?;
            let known: HashSet<_> = known.into_iter().collect();
            items.retain(|item| !known.contains(&(item.version, item.entry)));
        }
        let entries: Vec<usize> = items.iter().map(|item| item.entry).collect();
        let ids = store::run_item::add(self.change, self.workspace, self.item.run_id, items).await?;
        let added = ids.len();
        let jobs: Vec<_> = ids
            .into_iter()
            .zip(entries)
            .map(|(item, segment)| self.job(item, NextJob { segment, units: None }))
            .collect();
        outbox::enqueue_all(self.change, self.workspace, &jobs).await?;
        Ok(added)
    }

    fn trace(&mut self) {
        for trace in &self.output.trace {
            let node = self.item.progress.nodes.entry(trace.node.clone()).or_default();
            node.millis += u64::try_from(trace.took.as_millis()).unwrap_or_default();
            node.reused = trace.reused;
            node.tokens += trace.tokens;
            node.tokens_saved += trace.tokens_saved;
            for (port, elements) in &trace.ports {
                *node.elements.entry(port.clone()).or_default() += elements.len() as u64;
                if let Some(tokens) = elements.tokens() {
                    *node.chunk_tokens.entry(port.clone()).or_default() += tokens;
                }
            }
        }
    }

    fn jobs(&self, jobs: &[NextJob]) -> Vec<RunSegment> {
        jobs.iter().map(|job| self.job(self.item.id, *job)).collect()
    }

    fn job(&self, item: ItemId, job: NextJob) -> RunSegment {
        let lane = Some(self.plan.plan.segments[job.segment].lane);
        let (run, priority) = (self.item.run_id, self.item.priority());
        RunSegment { run, item, segment: job.segment, units: job.units, lane, priority }
    }

    /// Fails the item if the workspace exceeds its quota of one of these resources, with so many more chunks.
    async fn check_quota(&self, resources: &[Resource], more_chunks: i64) -> Result<(), JobError> {
        let usage = store::usage::find(self.change.tx(), self.workspace, self.cx.quota()).await?;
        let mut usage = usage.ok_or(JobError::Obsolete)?;
        usage.used.chunks += more_chunks;
        let exceeded = usage.used.exceeding(&usage.limits).find(|resource| resources.contains(resource));
        let Some(resource) = exceeded else { return Ok(()) };
        let (limit, used, name) = (usage.limits.of(resource), usage.used.of(resource), resource.name());
        let detail = format!("the workspace may have {limit} {name}, and with this file it would have {used}");
        Err(JobError::Fail(Failure::new(FailureCode::QuotaExceeded, detail)))
    }
}

fn kept_flow(plan: &Plan, origin: Origin) -> Option<Flow> {
    plan.segments[origin.segment].steps[origin.step].outputs[origin.output].flow
}

/// Elements of one unit, of so many. Where `NVISY_WORKER_BATCH_CHUNKS` is 0, a server gets few requests. The local model gains
/// nothing by longer units, and a short file waits for those in progress; but each has a transaction, whose cost many units of a long
/// file would multiply, while several slots work on a short one.
pub(crate) fn unit(cx: &Context, elements: u32) -> u32 {
    match (cx.config.worker.batch_chunks, cx.config.embedding.provider) {
        (0, EmbeddingProvider::Local) if elements > LONG_FILE_ELEMENTS => 16,
        (0, EmbeddingProvider::Local) => 8,
        (0, EmbeddingProvider::Openai) => 32,
        (chunks, _) => u32::try_from(chunks).unwrap_or(u32::MAX),
    }
}
