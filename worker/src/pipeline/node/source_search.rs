//! Source: the content of the item's file. The engine runs the search, and each file that it finds becomes an item.

use nvisy_shared::pipeline::node::source_search::SourceSearch;

use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::Elements,
    },
    runner::JobError,
};

impl Behaviour for SourceSearch {
    async fn run(&self, call: &Call<'_>, _: Elements) -> Result<Output, JobError> {
        Ok(Output::one(Elements::Bytes(vec![call.file.content.clone()])))
    }
}
