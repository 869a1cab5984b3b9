//! Running one segment of a plan.
//!
//! Nodes compute and write nothing. They return their writes as [`Effect`]s, which are committed in the transaction that
//! completes the job. A failed attempt leaves no trace, and a repeated one writes nothing twice.

use nvisy_shared::{domain::plan::Segment, store::chunk::NewChunk};

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

/// Runs the nodes of a segment, each on the output of the one it depends on.
///
/// # Errors
/// The error of the first node that fails.
pub async fn run(scope: &Scope<'_>, segment: &Segment, entering: Artifact) -> Result<SegmentOutput, JobError> {
    let mut segment_output = SegmentOutput::default();
    let mut entering = Some(entering);
    let mut outputs: Vec<Option<Artifact>> = Vec::with_capacity(segment.steps.len());
    for (index, step) in segment.steps.iter().enumerate() {
        let input = match step.input {
            None => entering.take(),
            // Moved, not cloned, into the last node that takes it.
            Some(from) if segment.steps[index + 1..].iter().any(|later| later.input == Some(from)) => {
                outputs[from].clone()
            }
            Some(from) => outputs[from].take(),
        };
        let span = tracing::info_span!("node", otel.name = %step.node.id, node.id = %step.node.id);
        let node = node::instantiate(&step.node.kind);
        let run = node.run(scope, input.unwrap_or(Artifact::Nothing), &mut segment_output.effects);
        outputs.push(Some(tracing::Instrument::instrument(run, span).await?));
    }
    segment_output.chunks = outputs.into_iter().flatten().find_map(|output| match output {
        Artifact::Chunks(chunks) => Some(chunks),
        _ => None,
    });
    Ok(segment_output)
}
