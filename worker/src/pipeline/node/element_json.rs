//! Elements as JSON, as derived files and requests have them.

use nvisy_extract::{Document, ElementKind, TextBox};
use serde::Serialize;

use crate::pipeline::element::{ChunkElement, DocumentElement};

/// A document, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DocumentJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    text: &'a str,
    /// Byte ranges of the text.
    elements: Vec<ElementJson<'a>>,
    /// Where the recognised lines stand on their pages.
    #[serde(skip_serializing_if = "<[TextBox]>::is_empty")]
    boxes: &'a [TextBox],
}

#[derive(Serialize)]
struct ElementJson<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<u8>,
    start: usize,
    end: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a str>,
}

impl<'a> From<&'a DocumentElement> for DocumentJson<'a> {
    fn from(element: &'a DocumentElement) -> Self {
        let document: &Document = &element.document;
        let elements = document.elements.iter().map(|element| {
            let (kind, level) = match element.kind {
                ElementKind::Title => ("title", None),
                ElementKind::Heading { level } => ("heading", Some(level)),
                ElementKind::Paragraph => ("paragraph", None),
                ElementKind::ListItem => ("list_item", None),
                ElementKind::Table => ("table", None),
                ElementKind::Code => ("code", None),
                ElementKind::Aside => ("aside", None),
                ElementKind::PageBreak => ("page_break", None),
            };
            let (label, place) = (element.label.as_deref(), element.place.as_deref());
            ElementJson { kind, level, start: element.start, end: element.end, page: element.page, label, place }
        });
        Self {
            title: document.title.as_deref(),
            page_count: document.page_count,
            language: element.origin.document.as_ref().and_then(|info| info.language.as_deref()),
            text: &document.text,
            elements: elements.collect(),
            boxes: &document.boxes,
        }
    }
}

/// A chunk, as it is written: the names are those of hits of a search.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChunkJson<'a> {
    ordinal: u32,
    text: &'a str,
    start: u64,
    end: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a str>,
    heading_path: &'a [String],
    tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
}

impl<'a> From<&'a ChunkElement> for ChunkJson<'a> {
    fn from(chunk: &'a ChunkElement) -> Self {
        Self {
            ordinal: chunk.ordinal,
            text: &chunk.text,
            start: chunk.bytes.start,
            end: chunk.bytes.end,
            page: chunk.page,
            place: chunk.place.as_deref(),
            heading_path: &chunk.headings,
            tokens: chunk.tokens,
            prefix: chunk.prefix.as_deref(),
            language: chunk.language.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nvisy_extract::Element;
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_have_their_words_and_their_place() {
        let mut heading = Element::new(ElementKind::Heading { level: 1 }, 0..6, None);
        heading.label = Some("Tide".to_owned());
        let mut table = Element::new(ElementKind::Table, 8..13, Some(2));
        table.place = Some("Orders!A1:D3".to_owned());
        let document =
            Document { text: "# Tide\n\na | b".to_owned(), elements: vec![heading, table], ..Document::default() };
        let element = DocumentElement { document: Arc::new(document), origin: Arc::default(), edits: Arc::default() };
        assert_eq!(
            serde_json::to_value(DocumentJson::from(&element)).unwrap()["elements"],
            json!([
                { "kind": "heading", "level": 1, "start": 0, "end": 6, "label": "Tide" },
                { "kind": "table", "start": 8, "end": 13, "page": 2, "place": "Orders!A1:D3" },
            ])
        );
    }
}
