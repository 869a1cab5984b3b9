//! Running one segment of a plan.
//!
//! Nodes compute and write nothing; what is to be written they leave as [`Effect`]s, which are
//! committed in the transaction that ends the job. An attempt that dies leaves no trace, and one
//! that is repeated writes nothing twice.

use nvisy_shared::{
    domain::plan::Segment,
    id::{SpaceId, WorkspaceId},
    store::{
        self, Tx,
        chunk::{Embedded, NewChunk},
        file::{Contents, StoredBlob},
        run::Item,
    },
};

use crate::{
    context::Context,
    nodes::{self, Artifact},
    runner::JobError,
};

/// What a node sees of its surroundings.
pub struct Scope<'a> {
    /// The worker.
    pub cx: &'a Context,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The item at work.
    pub item: &'a Item,
}

/// What a segment leaves behind.
#[derive(Default)]
pub struct SegmentOutput {
    /// To be written.
    pub effects: Vec<Effect>,
    /// What crosses the border to the next segment, if the segment ends at one.
    pub chunks: Option<Vec<NewChunk>>,
}

/// Something to be written.
pub enum Effect {
    /// What reading the file found out; the text is registered first if it is a blob of its own.
    Contents(Contents, Option<StoredBlob>),
    /// Vectors of a space.
    Vectors(SpaceId, Vec<Embedded>),
}

impl Effect {
    /// How many vectors it writes.
    #[must_use]
    pub fn vectors(&self) -> u64 {
        match self {
            Self::Contents(..) => 0,
            Self::Vectors(_, vectors) => vectors.len() as u64,
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// The database's.
    pub async fn apply(self, tx: &Tx, workspace: WorkspaceId, item: &Item) -> store::Result<()> {
        match self {
            Self::Contents(mut contents, text) => {
                if let Some(text) = text {
                    contents.text_blob_id = store::file::register_blob(tx, workspace, text).await?;
                }
                store::file::set_contents(tx, workspace, item.version_id, &contents).await
            }
            Self::Vectors(space, vectors) => {
                let of = (item.file_id, item.version_id);
                store::chunk::insert_vectors(tx, workspace, space, of, vectors).await
            }
        }
    }
}

/// Runs the nodes of a segment, each on the output of the one it depends on.
///
/// # Errors
/// The first failing node's.
pub async fn run(scope: &Scope<'_>, segment: &Segment, entering: Artifact) -> Result<SegmentOutput, JobError> {
    let mut segment_output = SegmentOutput::default();
    let mut entering = Some(entering);
    let mut outputs: Vec<Option<Artifact>> = Vec::with_capacity(segment.steps.len());
    for (place, step) in segment.steps.iter().enumerate() {
        let input = match step.input {
            None => entering.take(),
            // Handed on, not copied, to the last node that takes it.
            Some(from) if segment.steps[place + 1..].iter().any(|later| later.input == Some(from)) => {
                outputs[from].clone()
            }
            Some(from) => outputs[from].take(),
        };
        let span = tracing::info_span!("node", otel.name = %step.node.id, node.id = %step.node.id);
        let node = nodes::instantiate(&step.node.kind);
        let run = node.run(scope, input.unwrap_or(Artifact::Nothing), &mut segment_output.effects);
        outputs.push(Some(tracing::Instrument::instrument(run, span).await?));
    }
    segment_output.chunks = outputs.into_iter().flatten().find_map(|output| match output {
        Artifact::Chunks(chunks) => Some(chunks),
        _ => None,
    });
    Ok(segment_output)
}
