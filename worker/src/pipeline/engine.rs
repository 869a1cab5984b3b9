//! Running one segment of a plan, node by node.
//!
//! Nodes compute and write nothing. Their writes are returned, and committed in the transaction that completes the job: a failed
//! attempt leaves no trace, and a repeated one writes nothing twice. The output of a node that is worth it is kept as an artifact
//! under its content key, and is found instead of being computed again.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    id::{FileId, PipelineId, RunId, VersionId, WorkspaceId},
    pipeline::{
        content_key::ContentKey,
        options::{NodeOptions, OnError},
        plan::{Plan, Step},
        port::Flow,
    },
    store::{self, artifact::FoundArtifact, job::Claim},
};
use tracing::Instrument;

use super::{
    connections::SegmentConnections,
    contract::{Call, FileFacts, Output, TargetAccess},
    element::Elements,
    model::ModelAccess,
    node,
    segment_output::{Content, Kept, NodeTrace, SegmentOutput},
    spaces::OpenSpace,
    storage,
};
use crate::{context::Context, runner::JobError};

/// The largest number of elements at an input or an output: graphs that branch and meet again can double it with each node.
const MAX_ELEMENTS: usize = 1_000_000;

/// The surroundings of a segment.
pub struct SegmentScope<'a> {
    /// The context of the worker.
    pub cx: &'a Context,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The run.
    pub run: RunId,
    /// The pipeline.
    pub pipeline: PipelineId,
    /// Whether the run is a preview, which writes nothing.
    pub preview: bool,
    /// The file version that is processed.
    pub version: VersionId,
    /// Its properties.
    pub file: &'a FileFacts,
    /// The plan.
    pub plan: &'a Plan,
    /// The spaces of the collections behind each node, by node id.
    pub spaces: &'a BTreeMap<String, Vec<OpenSpace>>,
    /// The connections of nodes, by node id.
    pub connections: &'a SegmentConnections,
    /// The file, with which the answers of models go.
    pub file_id: FileId,
    /// The job.
    pub claim: &'a Claim,
    /// The attempt at the job, from 1: the last one decides what a failure means.
    pub attempt: i32,
    /// Nodes whose outputs are not taken from artifacts, with what tells this run from others.
    pub recompute: Option<Recompute<'a>>,
    /// Whether artifacts are looked up and kept.
    pub reuse: bool,
    /// Whether the outputs that sinks take are stored as well.
    pub keeps_results: bool,
}

/// From which node on nothing is reused.
#[derive(Clone, Copy, Debug)]
pub struct Recompute<'a> {
    /// The node.
    pub node: &'a str,
    /// Makes the keys of its outputs, and of those behind it, new.
    pub salt: &'a [u8],
}

/// What enters a segment.
pub struct Entering {
    /// The elements; for a source, none.
    pub elements: Elements,
    /// Their key.
    pub key: ContentKey,
}

/// An output within the segment.
#[derive(Clone)]
struct Lazy {
    key: ContentKey,
    content: LazyContent,
}

#[derive(Clone)]
enum LazyContent {
    Here(Arc<Elements>),
    Stored(FoundArtifact),
}

/// Runs the nodes of segment `index`, each on what those before it gave.
///
/// # Errors
/// The error of the first node that fails, with the node's id and retry policy.
pub async fn run(scope: &SegmentScope<'_>, index: usize, entering: Entering) -> Result<SegmentOutput, JobError> {
    let steps = &scope.plan.segments[index].steps;
    let mut exported = scope.plan.exports(index);
    if scope.keeps_results {
        exported.extend(scope.plan.results(index));
    }
    let mut run = SegmentRun {
        scope,
        index,
        file: scope.file.clone(),
        salted: vec![false; steps.len()],
        outputs: Vec::new(),
        result: SegmentOutput::default(),
    };
    let mut entering = Some(entering);
    for (place, step) in steps.iter().enumerate() {
        let started = Instant::now();
        run.step(place, step, if place == 0 { entering.take() } else { None }, started).await?;
    }
    for origin in exported {
        let Some(lazy) = run.outputs.get(origin.step).and_then(|outputs| outputs.get(origin.output)) else { continue };
        let content = match &lazy.content {
            LazyContent::Here(elements) if elements.is_empty() => continue,
            LazyContent::Here(elements) => Content::New(Arc::clone(elements), Vec::new()),
            LazyContent::Stored(found) if found.elements == 0 => continue,
            LazyContent::Stored(found) => Content::Stored(found.clone()),
        };
        // A memo of the same output has its effects and is stored first.
        let node_type = steps[origin.step].settings.kind();
        run.result.exports.push((origin, Kept { key: lazy.key, node_type, content }));
    }
    Ok(run.result)
}

struct SegmentRun<'a, 's> {
    scope: &'a SegmentScope<'s>,
    index: usize,
    /// The file, with what the steps so far have found out about it.
    file: FileFacts,
    /// Whether a step is at or behind the node from which nothing is reused.
    salted: Vec<bool>,
    outputs: Vec<Vec<Lazy>>,
    result: SegmentOutput,
}

impl SegmentRun<'_, '_> {
    async fn step(
        &mut self,
        place: usize,
        step: &Step,
        entering: Option<Entering>,
        started: Instant,
    ) -> Result<(), JobError> {
        let inputs: Vec<Lazy> = match entering {
            Some(Entering { elements, key }) => vec![Lazy { key, content: LazyContent::Here(Arc::new(elements)) }],
            None => step.origins.iter().map(|origin| self.outputs[origin.step][origin.output].clone()).collect(),
        };
        self.salted[place] = self.scope.recompute.is_some_and(|from| from.node == step.id)
            || step.origins.iter().any(|origin| origin.segment == self.index && self.salted[origin.step]);
        let key = self.key(place, step, &inputs);
        let keeps = step.settings.keeps_output();
        let scope = self.scope;
        if keeps
            && scope.reuse
            && let Some(found) =
                store::artifact::find(&scope.cx.db, scope.workspace, scope.version, key.output(0)).await?
        {
            return self.reuse(step, key, found, started).await;
        }
        let input = self.materialise(step, inputs).await?;
        let salt = self.salt(place);
        let call = self.call(step, key, salt.as_deref());
        let passed = input.clone();
        let span =
            tracing::info_span!("node", otel.name = %step.id, node.id = %step.id, node.type = step.settings.kind());
        let output = attempt(&call, step, input).instrument(span).await;
        let (mut output, failure) = match output {
            Ok(output) => (output, None),
            Err(error) => (self.skip(step, passed, error)?, Some(())),
        };
        let failure = failure.and_then(|()| self.result.skipped.last().cloned());
        let is_skipped = failure.is_some();
        for elements in &output.ports {
            limit_elements(&step.id, elements.len())?;
        }
        pad(step, &mut output);
        let kept: Vec<_> = output.ports.into_iter().map(Arc::new).collect();
        if keeps && !is_skipped {
            self.result.work.recomputed += 1;
            if let ([elements], true) = (kept.as_slice(), self.scope.reuse) {
                let content = Content::New(Arc::clone(elements), output.effects.clone());
                self.result.memos.push(Kept { key: key.output(0), node_type: step.settings.kind(), content });
            }
        }
        let ports = step.outputs.iter().map(|port| port.name.clone()).zip(kept.iter().cloned()).collect();
        let node = step.id.clone();
        let effects = output.effects.clone();
        let (tokens, tokens_saved) = (output.tokens, output.tokens_saved);
        let took = started.elapsed();
        self.result.trace.push(NodeTrace { node, ports, effects, took, reused: false, tokens, tokens_saved, failure });
        self.result.work.tokens += tokens;
        self.result.work.tokens_saved += tokens_saved;
        output.effects.iter().for_each(|effect| self.file.learn(effect));
        self.result.effects.extend(output.effects.into_iter().map(|effect| (step.id.clone(), effect)));
        // The elements that are passed on instead are no output of the node: a later run that computes it must not find them.
        let key = if is_skipped { ContentKey::of([key.0.as_slice(), b"skipped"]) } else { key };
        let lazy = |(port, elements)| Lazy { key: key.output(port), content: LazyContent::Here(elements) };
        self.outputs.push(kept.into_iter().enumerate().map(lazy).collect());
        Ok(())
    }

    fn call<'c>(&'c self, step: &'c Step, key: ContentKey, salt: Option<&'c str>) -> Call<'c> {
        Call {
            cx: self.scope.cx,
            workspace: self.scope.workspace,
            run: self.scope.run,
            pipeline: self.scope.pipeline,
            preview: self.scope.preview,
            node: &step.id,
            key,
            file: &self.file,
            spaces: self.scope.spaces.get(&step.id).map(Vec::as_slice).unwrap_or_default(),
            model_access: self.scope.connections.models.get(&step.id).map(|connection| ModelAccess {
                connection,
                run: self.scope.run,
                file: self.scope.file_id,
                claim: self.scope.claim,
                salt,
            }),
            target_access: self.scope.connections.targets.get(&step.id).map(|connection| TargetAccess {
                connection,
                version: self.scope.version,
                claim: self.scope.claim,
            }),
        }
    }

    /// The key of a call: see [`ContentKey`].
    fn key(&self, place: usize, step: &Step, inputs: &[Lazy]) -> ContentKey {
        let keys: Vec<_> = inputs.iter().map(|input| input.key).collect();
        let mut surroundings = Vec::new();
        let flow = step.input.unwrap_or(Flow::Bytes);
        let file = step.settings.reads_file().then(|| self.file.key(flow).to_string());
        surroundings.extend(file.as_deref());
        let model = step.settings.reads_model().then(|| {
            let spaces = self.scope.spaces.get(&step.id).filter(|spaces| !spaces.is_empty());
            let default = || OpenSpace { served: self.scope.cx.spaces.default().clone(), connection: None }.identity();
            spaces.map_or_else(default, |spaces| spaces.iter().map(OpenSpace::identity).collect())
        });
        surroundings.extend(model.as_deref());
        let run = step.settings.reads_run().then(|| format!("{} {}", self.scope.run, self.scope.file.id));
        surroundings.extend(run.as_deref());
        // Another model, or another temperature, gives other answers.
        let connection = self.scope.connections.models.get(&step.id).map(|connection| connection.identity.as_str());
        surroundings.extend(connection);
        let salt = self.salt(place);
        surroundings.extend(salt.as_deref());
        ContentKey::of_call(&step.settings, &surroundings, &keys)
    }

    /// What makes the output of a step new, if nothing from it on is reused.
    fn salt(&self, place: usize) -> Option<String> {
        self.scope.recompute.filter(|_| self.salted[place]).map(|from| ContentKey::of([from.salt]).to_string())
    }

    /// Takes the output of an artifact, with the writes that belong to it.
    async fn reuse(
        &mut self,
        step: &Step,
        key: ContentKey,
        found: FoundArtifact,
        started: Instant,
    ) -> Result<(), JobError> {
        self.result.work.reused += 1;
        let effects = storage::read_effects(&found.effects)?;
        effects.iter().for_each(|effect| self.file.learn(effect));
        self.result.effects.extend(effects.into_iter().map(|effect| (step.id.clone(), effect)));
        let name = step.outputs.first().map(|port| port.name.clone()).unwrap_or_default();
        let lazy = Lazy { key: key.output(0), content: LazyContent::Stored(found.clone()) };
        // A preview shows every output.
        let ports = if self.scope.preview {
            let flow = step.outputs[0].flow;
            vec![(name, Arc::new(storage::load(self.scope.cx, self.scope.workspace, &found, flow).await?))]
        } else {
            Vec::new()
        };
        let kept = Kept { key: key.output(0), node_type: step.settings.kind(), content: Content::Stored(found) };
        self.result.memos.push(kept);
        let node = step.id.clone();
        let took = started.elapsed();
        let (effects, tokens, tokens_saved, failure) = (Vec::new(), 0, 0, None);
        self.result.trace.push(NodeTrace { node, ports, effects, took, reused: true, tokens, tokens_saved, failure });
        self.outputs.push(vec![lazy]);
        Ok(())
    }

    /// The elements of all inputs, joined.
    async fn materialise(&self, step: &Step, inputs: Vec<Lazy>) -> Result<Elements, JobError> {
        let Some(flow) = step.input else {
            // A source.
            return Ok(Elements::empty(Flow::Bytes));
        };
        let count = inputs.iter().map(|input| match &input.content {
            LazyContent::Here(elements) => elements.len(),
            LazyContent::Stored(found) => usize::try_from(found.elements).unwrap_or(usize::MAX),
        });
        limit_elements(&step.id, count.fold(0, usize::saturating_add))?;
        let mut joined = Elements::empty(flow);
        for input in inputs {
            let elements = match input.content {
                LazyContent::Here(elements) => Arc::unwrap_or_clone(elements),
                LazyContent::Stored(found) => {
                    storage::load(self.scope.cx, self.scope.workspace, &found, Some(flow)).await?
                }
            };
            joined.append(elements);
        }
        Ok(joined)
    }

    /// The output of a node that failed finally and lets the item go on: its input, where the flow stays the same.
    fn skip(&mut self, step: &Step, input: Elements, error: JobError) -> Result<Output, JobError> {
        let final_failure = match error {
            JobError::Fail(failure) => Ok(failure),
            JobError::Retry { what, ref source, .. }
                if self.scope.attempt >= attempts(&step.options).min(self.scope.cx.config.queue.attempts) =>
            {
                let detail = format!("{what}: {source}");
                tracing::warn!(node.id = %step.id, error = detail, "a node failed at its last attempt");
                let detail = format!("the node failed {} times: {what}", self.scope.attempt);
                if step.options.on_error == Some(OnError::Skip) {
                    Ok(Failure::new(FailureCode::AttemptsExhausted, detail))
                } else {
                    Err(error)
                }
            }
            error => Err(error),
        };
        match (final_failure, step.options.on_error) {
            (Ok(failure), Some(OnError::Skip)) => {
                self.result.skipped.push(failure.at(&step.id));
                let passes = step.outputs.len() == 1 && step.outputs[0].flow == Some(input.flow());
                Ok(Output::ports(if passes { vec![input] } else { Vec::new() }))
            }
            (Ok(failure), _) => Err(JobError::Fail(failure.at(&step.id))),
            (Err(error), _) => Err(error.at(&step.id, &step.options)),
        }
    }
}

/// Fails the item where a node has too many elements.
fn limit_elements(node: &str, elements: usize) -> Result<(), JobError> {
    if elements <= MAX_ELEMENTS {
        return Ok(());
    }
    let detail =
        format!("the node has {elements} elements, more than {MAX_ELEMENTS} of one file: cut it into larger chunks");
    Err(JobError::Fail(Failure::new(FailureCode::TooLarge, detail).at(node)))
}

/// The number of attempts at a node.
fn attempts(options: &NodeOptions) -> i32 {
    options.retry.map_or(1, |retry| i32::try_from(retry.attempts).unwrap_or(i32::MAX))
}

/// One call of a node, within its time.
async fn attempt(call: &Call<'_>, step: &Step, input: Elements) -> Result<Output, JobError> {
    let node = node::instantiate(&step.settings);
    let run = node.run(call, input);
    match step.options.timeout_seconds {
        None => run.await,
        Some(seconds) => {
            let limit = Duration::from_secs(seconds.into());
            tokio::time::timeout(limit, run).await.unwrap_or_else(|_| {
                Err(JobError::retry("the node exceeded its time limit")(format!("{seconds} seconds")))
            })
        }
    }
}

/// Outputs that a node did not give are empty.
fn pad(step: &Step, output: &mut Output) {
    for port in step.outputs.iter().skip(output.ports.len()) {
        // Without a flow no data can arrive.
        output.ports.push(Elements::empty(port.flow.unwrap_or(Flow::Records)));
    }
}

/// The key of the file that enters at a source.
#[must_use]
pub fn file_key(file: &FileFacts) -> ContentKey {
    let content = &file.content;
    ContentKey::of([content.sha256.as_bytes(), content.name.as_bytes(), content.media_type.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_with_too_many_elements_fails_at_the_node() {
        assert!(limit_elements("join", MAX_ELEMENTS).is_ok());
        let error = limit_elements("join", MAX_ELEMENTS + 1).unwrap_err();
        let JobError::Fail(failure) = error else { panic!("{error}") };
        assert_eq!((failure.code, failure.node.as_deref()), (FailureCode::TooLarge, Some("join")));
    }
}
