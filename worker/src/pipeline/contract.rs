//! The contract of nodes: they compute an output from an input, and return their writes as effects.

use async_trait::async_trait;
use nvisy_shared::{
    id::{SpaceId, WorkspaceId},
    store::{
        self, Tx,
        chunk::ChunkVector,
        file::{Extraction, StoredBlob},
        run::Item,
    },
};

use super::artifact::Artifact;
use crate::{context::Context, runner::JobError};

/// The surroundings of a node.
pub struct Scope<'a> {
    /// The context of the worker.
    pub cx: &'a Context,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The item that is processed.
    pub item: &'a Item,
}

/// A step of a pipeline.
#[async_trait]
pub trait Node: Send + Sync {
    /// Computes the output from the input, and adds the necessary writes to `effects`. Compiled plans give each node an input of
    /// its kind; another kind is a bug.
    async fn run(&self, scope: &Scope<'_>, input: Artifact, effects: &mut Vec<Effect>) -> Result<Artifact, JobError>;
}

/// A write of a node.
pub enum Effect {
    /// The properties of the file's content. The text is registered first if it is a separate blob.
    Extraction(Extraction, Option<StoredBlob>),
    /// Vectors in a space.
    Vectors(SpaceId, Vec<ChunkVector>),
}

impl Effect {
    /// The number of vectors that it writes.
    #[must_use]
    pub fn vectors(&self) -> u64 {
        match self {
            Self::Extraction(..) => 0,
            Self::Vectors(_, vectors) => vectors.len() as u64,
        }
    }

    /// Writes to the database.
    pub async fn apply(&self, tx: &Tx, workspace: WorkspaceId, item: &Item) -> store::Result<()> {
        match self {
            Self::Extraction(extraction, text) => {
                let mut extraction = extraction.clone();
                if let Some(text) = text {
                    extraction.text_blob_id = store::file::register_blob(tx, workspace, *text).await?;
                }
                store::file::set_extraction(tx, workspace, item.version_id, &extraction).await
            }
            Self::Vectors(space, vectors) => {
                let of = (item.file_id, item.version_id);
                store::chunk::insert_vectors(tx, workspace, *space, of, vectors.clone()).await
            }
        }
    }
}

/// The error for an input of another kind, which compiled plans never give.
pub fn wrong_input(node: &'static str) -> JobError {
    JobError::retry("a plan gave a node the wrong input")(node)
}
