//! Compute: the language of documents or chunks.

use std::sync::Arc;

use nvisy_shared::pipeline::node::language::Language;

use super::{
    chunking::compute,
    language_detection::{Detected, detect},
};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output, wrong_input},
        element::{Elements, Origin},
    },
    runner::JobError,
};

impl Behaviour for Language {
    async fn run(&self, _: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        if !matches!(input, Elements::Documents(_) | Elements::Chunks(_)) {
            return Err(wrong_input("language"));
        }
        let min_confidence = self.min_confidence;
        Ok(Output::one(compute(move || set(input, min_confidence)).await?))
    }
}

/// Sets the language of each element, or none if it is not certain enough.
pub(super) fn set(mut elements: Elements, min_confidence: f64) -> Elements {
    let certain = |text: &str| detect(text).filter(|detected| detected.confidence >= min_confidence);
    match &mut elements {
        Elements::Documents(documents) => {
            for element in documents {
                set_document(&mut element.origin, certain(&element.document.text));
            }
        }
        Elements::Chunks(chunks) => {
            for chunk in chunks {
                chunk.language = certain(&chunk.text).map(|detected| detected.code.to_owned());
            }
        }
        Elements::Bytes(_) | Elements::Vectors(_) | Elements::Records(_) => {}
    }
    elements
}

fn set_document(origin: &mut Arc<Origin>, detected: Option<Detected>) {
    let document = Arc::make_mut(origin).document.get_or_insert_default();
    document.language = detected.map(|detected| detected.code.to_owned());
    document.confidence = detected.map(|detected| detected.confidence);
}

#[cfg(test)]
mod tests {
    use nvisy_extract::Document;

    use super::*;
    use crate::pipeline::element::{DocumentElement, DocumentInfo};

    const GERMAN: &str = "Die Turbinen werden jedes Frühjahr gereinigt, wenn das Wasser ruhig ist.";

    fn documents(text: &str) -> Elements {
        let document = Document { text: text.to_owned(), ..Document::default() };
        let info = DocumentInfo { characters: 7, language: Some("xx".to_owned()), ..DocumentInfo::default() };
        let origin = Origin { document: Some(info), ..Origin::default() };
        Elements::Documents(vec![DocumentElement {
            document: Arc::new(document),
            origin: Arc::new(origin),
            edits: Arc::default(),
        }])
    }

    fn info(elements: &Elements) -> DocumentInfo {
        elements.origins()[0].document.clone().unwrap()
    }

    #[test]
    fn certain_language_is_set_and_an_uncertain_one_is_not() {
        let found = info(&set(documents(GERMAN), 0.5));
        assert_eq!((found.characters, found.language.as_deref()), (7, Some("de")));
        assert!(found.confidence.is_some_and(|confidence| confidence >= 0.5));
        let found = info(&set(documents("12 345"), 0.0));
        assert_eq!((found.characters, found.language, found.confidence), (7, None, None));
    }
}
