//! Sink: vectors into the workspace's index.

use async_trait::async_trait;

use crate::{
    pipeline::{
        artifact::Artifact,
        contract::{Effect, Node, Scope, wrong_input},
    },
    runner::JobError,
};

/// See the module.
pub(super) struct SinkCollectionNode;

#[async_trait]
impl Node for SinkCollectionNode {
    async fn run(&self, scope: &Scope<'_>, input: Artifact, effects: &mut Vec<Effect>) -> Result<Artifact, JobError> {
        let Artifact::Vectors(vectors) = input else { return Err(wrong_input("sink.collection")) };
        effects.push(Effect::Vectors(scope.cx.space, vectors));
        Ok(Artifact::Nothing)
    }
}
