//! Route: a branch for each group of languages.

use nvisy_shared::pipeline::node::switch_language::SwitchLanguage;

use super::{
    branches::divide,
    chunking::compute,
    language_detection::{canonical, detect},
};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output, wrong_input},
        element::{Elements, Origin},
    },
    runner::JobError,
};

impl Behaviour for SwitchLanguage {
    async fn run(&self, _: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        if !matches!(input, Elements::Documents(_) | Elements::Chunks(_)) {
            return Err(wrong_input("switch.language"));
        }
        let (settings, count) = (self.clone(), self.branches.len() + 1);
        let (elements, places) = compute(move || {
            let places = places(&settings, &input);
            (input, places)
        })
        .await?;
        Ok(divide(elements, &places, count))
    }
}

/// The output of each element: by the language that an earlier node has set, or by its own text.
fn places(settings: &SwitchLanguage, elements: &Elements) -> Vec<usize> {
    let place = |text: &str, language: Option<&str>, origin: &Origin| {
        let document = origin.document.as_ref();
        let of_document = document.and_then(|document| document.language.as_deref());
        let (language, confidence) = match language.or(of_document) {
            // A language of a chunk has passed the confidence of the node that set it.
            Some(set) if language.is_some() => (set, 1.0),
            Some(set) => (set, document.and_then(|document| document.confidence).unwrap_or(1.0)),
            None => detect(text).map_or(("", 0.0), |detected| (detected.code, detected.confidence)),
        };
        let is_taken = |languages: &std::collections::BTreeSet<String>| {
            languages.iter().any(|code| canonical(code) == canonical(language))
        };
        let taken = settings.branches.values().position(is_taken);
        taken.filter(|_| confidence >= settings.min_confidence).unwrap_or(settings.branches.len())
    };
    match elements {
        Elements::Documents(documents) => {
            documents.iter().map(|element| place(&element.document.text, None, &element.origin)).collect()
        }
        Elements::Chunks(chunks) => {
            chunks.iter().map(|chunk| place(&chunk.text, chunk.language.as_deref(), &chunk.origin)).collect()
        }
        Elements::Bytes(_) | Elements::Vectors(_) | Elements::Records(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nvisy_extract::Document;
    use serde_json::json;

    use super::*;
    use crate::pipeline::element::{ChunkElement, DocumentElement, DocumentInfo};

    const GERMAN: &str = "Die Turbinen werden jedes Frühjahr gereinigt, wenn das Wasser ruhig ist.";

    fn origin(language: Option<&str>, confidence: Option<f64>) -> Arc<Origin> {
        let language = language.map(str::to_owned);
        let info = DocumentInfo { language, confidence, ..DocumentInfo::default() };
        Arc::new(Origin { document: Some(info), ..Origin::default() })
    }

    fn document(text: &str, origin: Arc<Origin>) -> DocumentElement {
        let document = Arc::new(Document { text: text.to_owned(), ..Document::default() });
        DocumentElement { document, origin, edits: Arc::default() }
    }

    #[test]
    fn language_that_is_set_decides_and_others_are_detected() {
        let settings: SwitchLanguage =
            serde_json::from_value(json!({ "branches": { "a": ["de", "no"], "b": ["eng"] } })).unwrap();
        let documents = vec![
            document(GERMAN, origin(None, None)),
            document(GERMAN, origin(Some("en"), Some(0.9))),
            // Below the least confidence.
            document(GERMAN, origin(Some("en"), Some(0.7))),
            document("12", origin(None, None)),
            document("", origin(Some("nb"), None)),
            document("", origin(Some("fr"), None)),
        ];
        assert_eq!(places(&settings, &Elements::Documents(documents)), [0, 1, 2, 2, 0, 2]);

        let chunk = |text: &str, language: Option<&str>, origin| ChunkElement {
            ordinal: 0,
            text: text.to_owned(),
            bytes: 0..0,
            page: None,
            place: None,
            headings: Vec::new(),
            tokens: 1,
            prefix: None,
            language: language.map(str::to_owned),
            origin,
        };
        let chunks = vec![
            chunk(GERMAN, Some("en"), origin(Some("de"), Some(1.0))),
            chunk("12", None, origin(Some("de"), Some(1.0))),
            chunk(GERMAN, None, Arc::default()),
        ];
        assert_eq!(places(&settings, &Elements::Chunks(chunks)), [1, 0, 0]);
    }
}
