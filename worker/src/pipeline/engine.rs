//! Running one segment of a plan.
//!
//! Nodes compute and write nothing. They return their writes as [`Effect`]s, which are committed in the transaction that
//! completes the job. A failed attempt leaves no trace, and a repeated one writes nothing twice.

use nvisy_shared::{
    pipeline::plan::{Plan, Step},
    store::chunk::NewChunk,
};

use super::{
    artifact::Artifact,
    contract::{Effect, Scope},
    node,
};
use crate::runner::JobError;

/// The result of a segment.
#[derive(Default)]
pub struct SegmentOutput {
    /// The writes of the nodes.
    pub effects: Vec<Effect>,
    /// The chunks for the next segment, if the segment ends at a border.
    pub chunks: Option<Vec<NewChunk>>,
}

/// Runs the nodes of segment `index`, each on the output of the one it depends on. Plans that this engine runs are chains of
/// nodes with one output (`shared::pipeline::runnable`).
///
/// # Errors
/// The error of the first node that fails.
pub async fn run(scope: &Scope<'_>, plan: &Plan, index: usize, entering: Artifact) -> Result<SegmentOutput, JobError> {
    let steps = &plan.segments[index].steps;
    // The step of this segment that the input of a step comes from.
    let input = |step: &Step| step.origins.first().filter(|origin| origin.segment == index).map(|origin| origin.step);
    let mut segment_output = SegmentOutput::default();
    let mut entering = Some(entering);
    let mut outputs: Vec<Option<Artifact>> = Vec::with_capacity(steps.len());
    for (place, step) in steps.iter().enumerate() {
        let artifact = match input(step) {
            None => entering.take(),
            // Moved, not cloned, into the last node that takes it.
            Some(from) if steps[place + 1..].iter().any(|later| input(later) == Some(from)) => outputs[from].clone(),
            Some(from) => outputs[from].take(),
        };
        let span = tracing::info_span!("node", otel.name = %step.id, node.id = %step.id);
        let node = node::instantiate(&step.settings)?;
        let run = node.run(scope, artifact.unwrap_or(Artifact::Nothing), &mut segment_output.effects);
        outputs.push(Some(tracing::Instrument::instrument(run, span).await?));
    }
    segment_output.chunks = outputs.into_iter().flatten().find_map(|output| match output {
        Artifact::Chunks(chunks) => Some(chunks),
        _ => None,
    });
    Ok(segment_output)
}
