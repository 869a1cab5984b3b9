//! Source: the content of the item's file. A sync brings the objects of the connection as files, each of which becomes an item.

use nvisy_shared::pipeline::node::source_connection::SourceConnection;

use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::Elements,
    },
    runner::JobError,
};

impl Behaviour for SourceConnection {
    async fn run(&self, call: &Call<'_>, _: Elements) -> Result<Output, JobError> {
        Ok(Output::one(Elements::Bytes(vec![call.file.content.clone()])))
    }
}
