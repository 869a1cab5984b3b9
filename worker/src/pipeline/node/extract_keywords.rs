//! Model: the most important words and phrases of texts.

use std::{collections::HashSet, sync::Arc};

use nvisy_shared::pipeline::node::{
    ResultKind,
    extract_keywords::{ExtractKeywords, KeywordMethod},
};
use serde_json::{Map, Value, json};

use super::{
    chunking::compute,
    found_text::find,
    keywords::keywords,
    prompting::{self, Part, TextOptions, TextTask},
};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output, wrong_input},
        element::{ChunkElement, Elements, Origin},
    },
    runner::JobError,
};

impl Behaviour for ExtractKeywords {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        match self.method {
            KeywordMethod::Model => prompting::run(self, call, input).await,
            KeywordMethod::Statistical => {
                let settings = self.clone();
                compute(move || by_statistics(&settings, input)).await?
            }
        }
    }
}

/// A keyword, and its byte range where it is known.
fn keyword(text: &str, found: Option<(u64, u64)>) -> Value {
    let mut keyword = json!({ "text": text });
    if let Some((start, end)) = found {
        keyword["start"] = start.into();
        keyword["end"] = end.into();
    }
    keyword
}

/// Keywords by statistics, as metadata or records.
///
/// # Errors
/// When the input is neither documents nor chunks.
pub(super) fn by_statistics(settings: &ExtractKeywords, mut input: Elements) -> Result<Output, JobError> {
    let of = |text: &str, language: Option<&str>| -> Value {
        let found = keywords(text, language, settings.max as usize, settings.max_words as usize);
        found.iter().map(|one| keyword(one, None)).collect()
    };
    let known = |origin: &Origin| origin.document.as_ref()?.language.clone();
    let results: Vec<Value> = match &input {
        Elements::Documents(all) => {
            all.iter().map(|one| of(&one.document.text, known(&one.origin).as_deref())).collect()
        }
        Elements::Chunks(all) => {
            let language = |chunk: &ChunkElement| chunk.language.clone().or_else(|| known(&chunk.origin));
            all.iter().map(|chunk| of(&chunk.text, language(chunk).as_deref())).collect()
        }
        _ => return Err(wrong_input("extract.keywords")),
    };
    let mut effects = Vec::new();
    let output = match settings.result {
        ResultKind::Metadata => {
            if let (Elements::Documents(_), Some(last)) = (&input, results.last()) {
                effects.push(prompting::file_metadata(Map::from_iter([(settings.field.clone(), last.clone())]))?);
            }
            for (origin, result) in input.origins_mut().into_iter().zip(results) {
                Arc::make_mut(origin).metadata.insert(settings.field.clone(), result);
            }
            input
        }
        ResultKind::Records => {
            let of = input.origins().into_iter().zip(results);
            Elements::Records(
                of.flat_map(|(origin, result)| prompting::records(&settings.field, origin, result)).collect(),
            )
        }
    };
    Ok(Output { ports: vec![output], effects, ..Output::default() })
}

impl TextOptions for ExtractKeywords {
    fn prompt(&self) -> Option<&str> {
        self.prompt.as_deref()
    }

    fn field(&self) -> &str {
        &self.field
    }

    fn result(&self) -> ResultKind {
        self.result
    }
}

impl TextTask for ExtractKeywords {
    fn values(&self) -> Vec<(&'static str, String)> {
        vec![("max", self.max.to_string())]
    }

    fn schema(&self) -> Value {
        let keyword = json!({ "type": "string", "minLength": 1, "maxLength": 200 });
        json!({
            "type": "object", "properties": { "keywords": { "type": "array", "items": keyword } }, "required": ["keywords"],
            "additionalProperties": false,
        })
    }

    /// In turns from each part, so that each has a say.
    fn merge(&self, parts: &[Part<'_>]) -> Value {
        let lists: Vec<&Vec<Value>> = parts.iter().filter_map(|part| part.answer["keywords"].as_array()).collect();
        let longest = lists.iter().map(|list| list.len()).max().unwrap_or_default();
        let mut seen = HashSet::new();
        let mut all = Vec::new();
        for place in 0..longest {
            for list in &lists {
                let Some(text) = list.get(place).and_then(Value::as_str) else { continue };
                if all.len() < self.max as usize && seen.insert(text.to_lowercase()) {
                    let found = parts.iter().find_map(|part| find(part, text));
                    all.push(keyword(text, found));
                }
            }
        }
        Value::Array(all)
    }
}
