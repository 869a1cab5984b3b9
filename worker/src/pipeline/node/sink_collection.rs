//! Sink: chunks with their vectors into a collection.

use nvisy_shared::pipeline::node::sink_collection::SinkCollection;

use crate::{
    pipeline::{
        contract::{Behaviour, Call, Effect, Output, wrong_input},
        element::{Elements, VectorElement},
    },
    runner::JobError,
};

impl Behaviour for SinkCollection {
    async fn run(&self, _: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let rows = match input {
            Elements::Vectors(rows) => rows,
            Elements::Chunks(chunks) => {
                chunks.into_iter().map(|chunk| VectorElement { chunk, vectors: Default::default() }).collect()
            }
            _ => return Err(wrong_input("sink.collection")),
        };
        // A branch that is not taken writes nothing.
        let effect = (!rows.is_empty()).then(|| Effect::Collection { collection: self.collection.clone(), rows });
        Ok(Output::effects(effect.into_iter().collect()))
    }
}
