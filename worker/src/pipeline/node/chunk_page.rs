//! Transform: documents to chunks of one or several pages.

use nvisy_shared::pipeline::node::chunk_page::ChunkPage;

use super::chunking;
use crate::{
    chunk::{PageLimits, by_pages},
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::Elements,
    },
    runner::JobError,
};

impl Behaviour for ChunkPage {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let documents = chunking::documents("chunk.page", input)?;
        let model = chunking::model(call, self.contextual_prefix);
        let limits = limits(self);
        chunking::cut_all(documents, move |document| by_pages(document, &model, limits)).await
    }
}

pub(super) const fn limits(settings: &ChunkPage) -> PageLimits {
    PageLimits { pages: settings.pages, overlap_pages: settings.overlap_pages }
}
