//! A preview: the whole plan in memory for one item, writing nothing but what its author looks at.

use std::{collections::BTreeMap, sync::Arc};

use nvisy_shared::{
    id::WorkspaceId,
    job::RunSegment,
    pipeline::{
        content_key::ContentKey,
        plan::{Origin, Plan, Start},
        port::Flow,
        progress::{self, StoredOutput},
    },
    store::{
        self,
        artifact::NewArtifact,
        change::Change,
        collection::CollectionSpace,
        job::Claim,
        run_item::{Item, ItemProgress, WorkDone},
    },
};
use serde_json::json;

use super::{
    connections,
    contract::FileFacts,
    element::Elements,
    embedding_connection::Caller,
    engine::{self, Entering, SegmentScope},
    plans::CompiledPlan,
    segment_output::{Content, SegmentOutput},
    spaces, storage,
};
use crate::{
    context::Context,
    runner::{JobError, complete_in_tx},
};

/// Elements of an output that a preview shows.
const MAX_SHOWN: usize = 200;

/// The outputs of an evaluation, and what each segment gave.
pub struct Evaluation {
    /// The results of the segments that the item came through, in order.
    pub segments: Vec<(usize, SegmentOutput)>,
}

/// The outputs of the segments so far.
type Outputs = BTreeMap<Origin, (Arc<Elements>, ContentKey)>;

/// Evaluates all segments that the item comes through, one after another, in memory.
///
/// # Errors
/// The error of the first node that fails.
pub async fn evaluate(
    cx: &Context,
    workspace: WorkspaceId,
    item: &Item,
    plan: &CompiledPlan,
    file: &FileFacts,
    collections: &[CollectionSpace],
    claim: &Claim,
) -> Result<Evaluation, JobError> {
    let mut outputs = Outputs::new();
    let mut segments = Vec::new();
    let mut file = file.clone();
    for index in progress::reachable(&plan.plan, item.entry) {
        let Some(entering) = entering(&plan.plan, index, item, &file, &outputs) else { continue };
        let caller = Caller { run: item.run_id, claim: Some(claim.clone()) };
        let spaces = spaces::of_segment(cx, workspace, caller, plan, index, collections.to_vec()).await?;
        let connections = connections::of_segment(cx, workspace, plan, index).await?;
        let scope = SegmentScope {
            cx,
            workspace,
            run: item.run_id,
            pipeline: item.pipeline_id,
            preview: true,
            version: item.version_id,
            file: &file,
            plan: &plan.plan,
            spaces: &spaces.by_node,
            connections: &connections,
            file_id: item.file_id,
            claim,
            attempt: claim.attempts,
            recompute: None,
            reuse: true,
            keeps_results: false,
        };
        let output = engine::run(&scope, index, entering).await?;
        output.effects.iter().for_each(|(_, effect)| file.learn(effect));
        for (origin, kept) in &output.exports {
            let elements = exported(cx, workspace, &plan.plan, *origin, &kept.content).await?;
            outputs.insert(*origin, (elements, kept.key));
        }
        segments.push((index, output));
    }
    Ok(Evaluation { segments })
}

/// What enters a segment: the file, or what the segments before have given; `None`: the item does not come through.
fn entering(plan: &Plan, index: usize, item: &Item, file: &FileFacts, outputs: &Outputs) -> Option<Entering> {
    let segment = &plan.segments[index];
    if index == item.entry {
        let elements = match segment.start {
            Start::Source => Elements::empty(Flow::Bytes),
            _ => Elements::Bytes(vec![file.content.clone()]),
        };
        return Some(Entering { elements, key: engine::file_key(file) });
    }
    let mut elements = Elements::empty(segment.steps[0].input.unwrap_or(Flow::Bytes));
    let mut keys = Vec::new();
    for origin in plan.inputs(index) {
        let Some((part, key)) = outputs.get(&origin) else { continue };
        elements.append(part.as_ref().clone());
        keys.push(*key);
    }
    let key = match keys.as_slice() {
        [key] => *key,
        keys => ContentKey::of(keys.iter().map(|key| key.0.as_slice())),
    };
    (!elements.is_empty()).then_some(Entering { elements, key })
}

/// The elements of an output for the segments behind it.
async fn exported(
    cx: &Context,
    workspace: WorkspaceId,
    plan: &Plan,
    origin: Origin,
    content: &Content,
) -> Result<Arc<Elements>, JobError> {
    match content {
        Content::New(elements, _) => Ok(Arc::clone(elements)),
        Content::Stored(found) => {
            let flow = plan.segments[origin.segment].steps[origin.step].outputs[origin.output].flow;
            Ok(Arc::new(storage::load(cx, workspace, found, flow).await?))
        }
    }
}

/// Runs a preview, and keeps what each node gave with the item.
///
/// # Errors
/// The error of the first node that fails, and those of the database.
pub async fn run(
    cx: &Context,
    claim: &Claim,
    job: &RunSegment,
    item: &Item,
    plan: &CompiledPlan,
    file: &FileFacts,
    collections: &[CollectionSpace],
) -> Result<(), JobError> {
    let workspace = claim.workspace_id;
    let evaluation = evaluate(cx, workspace, item, plan, file, collections, claim).await?;
    complete_in_tx(cx, claim, || {
        let evaluation = &evaluation;
        async move |change: &mut Change| {
            let mut item = crate::handlers::open_item(change, workspace, job.item).await?;
            show(change, workspace, &mut item, &plan.plan, evaluation).await?;
            crate::handlers::finish_item(change, workspace, &item, &plan.plan).await
        }
    })
    .await
}

async fn show(
    change: &mut Change,
    workspace: WorkspaceId,
    item: &mut Item,
    plan: &Plan,
    evaluation: &Evaluation,
) -> Result<(), JobError> {
    let mut work = WorkDone::default();
    for (segment, output) in &evaluation.segments {
        work.reused += output.work.reused;
        work.recomputed += output.work.recomputed;
        work.tokens += output.work.tokens;
        work.tokens_saved += output.work.tokens_saved;
        for (step, trace) in output.trace.iter().enumerate() {
            let node = item.progress.nodes.entry(trace.node.clone()).or_default();
            node.millis = u64::try_from(trace.took.as_millis()).unwrap_or_default();
            node.reused = trace.reused;
            (node.tokens, node.tokens_saved) = (trace.tokens, trace.tokens_saved);
            for (place, (port, elements)) in trace.ports.iter().enumerate() {
                node.elements.insert(port.clone(), elements.len() as u64);
                node.chunk_tokens.extend(elements.tokens().map(|tokens| (port.clone(), tokens)));
                let shown = elements.as_ref().clone().select(|index| index < MAX_SHOWN);
                let key = ContentKey::of([
                    b"preview".as_slice(),
                    item.id.0.as_bytes(),
                    trace.node.as_bytes(),
                    port.as_bytes(),
                ]);
                let new = NewArtifact {
                    key,
                    node_type: plan.segments[*segment].steps[step].settings.kind(),
                    flow: elements.flow(),
                    effects: json!([]),
                    parts: storage::parts(&shown, 0)?,
                    complete: true,
                };
                let of = (item.file_id, item.version_id);
                let (artifact, _) = store::artifact::insert(change, workspace, of, new).await?;
                let origin = Origin { segment: *segment, step, output: place };
                let elements = u32::try_from(shown.len()).unwrap_or(u32::MAX);
                item.progress.outputs.insert(origin, StoredOutput { artifact, elements, key });
            }
        }
        item.progress.written += output.effects.iter().map(|(_, effect)| effect.written()).sum::<u64>();
        for failure in &output.skipped {
            let kind = nvisy_shared::domain::run::LogKind::NodeSkipped;
            let entry = store::item_log::NewEntry::failure(kind, failure);
            store::item_log::append(change, workspace, item.id, &entry).await?;
        }
    }
    let computed = ItemProgress { item: item.clone(), stage: None, work };
    store::run_item::store_progress(change, workspace, &[computed]).await?;
    Ok(())
}

/// The segments where members that a node finds enter.
#[must_use]
pub fn entries_behind(plan: &Plan, segment: usize, node: &str) -> Vec<usize> {
    let Some(step) = plan.segments[segment].steps.iter().position(|step| step.id == node) else { return Vec::new() };
    let from_members = |origin: &Origin| origin.segment == segment && origin.step == step && origin.output == 0;
    (segment + 1..plan.segments.len())
        .filter(|&index| plan.segments[index].start == Start::Items && plan.inputs(index).iter().any(from_members))
        .collect()
}
