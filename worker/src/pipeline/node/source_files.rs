//! Source: the content of the item's file. The engine decides which files become items.

use nvisy_shared::pipeline::node::source_files::SourceFiles;

use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::Elements,
    },
    runner::JobError,
};

impl Behaviour for SourceFiles {
    async fn run(&self, call: &Call<'_>, _: Elements) -> Result<Output, JobError> {
        Ok(Output::one(Elements::Bytes(vec![call.file.content.clone()])))
    }
}
