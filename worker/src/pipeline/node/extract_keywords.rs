//! Compute: keywords of documents and chunks.

use async_trait::async_trait;
use nvisy_shared::pipeline::node::extract_keywords::{ExtractKeywords, KeywordMethod};
use serde_json::{Map, Value};

use super::{chunking::compute, keywords::keywords, metadata::set_metadata};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output, wrong_input},
        element::{Elements, Origin},
    },
    runner::JobError,
};

#[async_trait]
impl Behaviour for ExtractKeywords {
    async fn run(&self, _: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        match self.method {
            KeywordMethod::Statistical => {
                let settings = self.clone();
                let (mut elements, values) = compute(move || {
                    let values = statistical(&input, &settings);
                    (input, values)
                })
                .await?;
                let effects = set_metadata(&mut elements, values?)?.into_iter().collect();
                Ok(Output { ports: vec![elements], effects, ..Output::default() })
            }
        }
    }
}

/// The metadata of each element.
pub(super) fn statistical(
    elements: &Elements,
    settings: &ExtractKeywords,
) -> Result<Vec<Map<String, Value>>, JobError> {
    let of = |text: &str, language: Option<&str>| {
        let (count, max_words) = (settings.count as usize, settings.max_words as usize);
        let found = keywords(text, language, count, max_words);
        Map::from_iter([(settings.metadata.clone(), found.into())])
    };
    let known = |origin: &Origin| origin.document.as_ref()?.language.clone();
    match elements {
        Elements::Documents(documents) => {
            Ok(documents.iter().map(|element| of(&element.document.text, known(&element.origin).as_deref())).collect())
        }
        Elements::Chunks(chunks) => Ok(chunks
            .iter()
            .map(|chunk| of(&chunk.text, chunk.language.clone().or_else(|| known(&chunk.origin)).as_deref()))
            .collect()),
        Elements::Bytes(_) | Elements::Vectors(_) | Elements::Records(_) => Err(wrong_input("extract.keywords")),
    }
}
