//! Sections: the text between two headings, with the headings above it.

use std::ops::Range;

use nvisy_extract::{Document, ElementKind};

/// A stretch of text under the same headings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// Its range, which begins with its own heading.
    pub(super) bytes: Range<usize>,
    /// The headings above and at its beginning, outermost first.
    pub(super) heading_path: Vec<String>,
}

/// Longest heading kept in a path, in characters: some files mark whole paragraphs as headings.
const MAX_HEADING_CHARS: usize = 200;

/// The sections of a document, which together cover its text. A heading directly followed by another shares its section, because
/// a chunk with only a heading is useless.
pub(super) fn sections(document: &Document) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut path: Vec<(u8, String)> = Vec::new();
    let mut start = 0;
    // Where the text after the last heading begins.
    let mut body = 0;
    for element in &document.elements {
        let level = match element.kind {
            ElementKind::Title => 0,
            ElementKind::Heading { level } => level,
            _ => continue,
        };
        if !document.text[body..element.start].trim().is_empty() {
            sections.push(section(start..element.start, &path));
            start = element.start;
        }
        path.retain(|(above, _)| *above < level);
        let heading = document.text[element.start..element.end].trim().trim_start_matches('#').trim();
        path.push((level, heading.chars().take(MAX_HEADING_CHARS).collect()));
        body = element.end;
    }
    sections.push(section(start..document.text.len(), &path));
    sections
}

fn section(bytes: Range<usize>, path: &[(u8, String)]) -> Section {
    Section { bytes, heading_path: path.iter().map(|(_, heading)| heading.clone()).collect() }
}

/// The page of a byte offset, if the document has pages.
pub(super) fn page_at(document: &Document, offset: usize) -> Option<u32> {
    let after = document.elements.partition_point(|element| element.start <= offset);
    document.elements[..after].iter().rev().find_map(|element| element.page)
}

#[cfg(test)]
mod tests {
    use nvisy_extract::Element;

    use super::*;

    fn document(parts: &[(ElementKind, &str, u32)]) -> Document {
        let mut document = Document::default();
        for (kind, text, page) in parts {
            let start = document.text.len();
            document.text.push_str(text);
            let end = document.text.len();
            document.elements.push(Element { kind: *kind, start, end, page: Some(*page) });
            document.text.push_str("\n\n");
        }
        document
    }

    #[test]
    fn sections_carry_the_path_of_their_headings() {
        use ElementKind::{Heading, Paragraph};
        let document = document(&[
            (Paragraph, "Before.", 1),
            (Heading { level: 1 }, "# One", 1),
            (Heading { level: 2 }, "Inner", 1),
            (Paragraph, "Body.", 2),
            (Heading { level: 1 }, "Two", 3),
            (Paragraph, "End.", 3),
        ]);
        let found: Vec<_> = sections(&document)
            .into_iter()
            .map(|section| (document.text[section.bytes].trim().to_owned(), section.heading_path))
            .collect();
        let path = |headings: &[&str]| headings.iter().map(|heading| (*heading).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            found,
            [
                ("Before.".to_owned(), path(&[])),
                ("# One\n\nInner\n\nBody.".to_owned(), path(&["One", "Inner"])),
                ("Two\n\nEnd.".to_owned(), path(&["Two"])),
            ]
        );
        assert_eq!(page_at(&document, document.text.find("Body").unwrap()), Some(2));
        assert_eq!(page_at(&document, document.text.len()), Some(3));
    }
}
