//! The body of a document, and the text beside it.

use std::ops::Range;

use nvisy_extract::{Document, Element, ElementKind};

/// A stretch of text in the body of a document, or beside it: page heads and feet, notes, comments. A piece has text of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) bytes: Range<usize>,
    pub(super) is_aside: bool,
}

/// The areas of a document in order, which together cover its text.
pub(super) fn areas(document: &Document) -> Vec<Area> {
    let mut areas = Vec::new();
    let (mut start, mut in_aside) = (0, false);
    for element in &document.elements {
        let is_aside = element.kind == ElementKind::Aside;
        if is_aside == in_aside {
            continue;
        }
        if !document.text[start..element.start].trim().is_empty() {
            areas.push(Area { bytes: start..element.start, is_aside: in_aside });
            start = element.start;
        }
        in_aside = is_aside;
    }
    areas.push(Area { bytes: start..document.text.len(), is_aside: in_aside });
    areas
}

/// The elements that begin in a range.
pub(super) fn elements_in<'a>(document: &'a Document, bytes: &Range<usize>) -> &'a [Element] {
    let before = |offset: usize| document.elements.partition_point(|element| element.start < offset);
    let first = before(bytes.start);
    &document.elements[first..before(bytes.end).max(first)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::outline::tests::document;

    #[test]
    fn areas_cover_the_text_and_blank_ones_belong_to_the_next() {
        use ElementKind::{Aside, PageBreak, Paragraph};
        let document = document(&[
            (Aside, "head", 1),
            (Paragraph, "one", 1),
            (Aside, "foot", 1),
            (PageBreak, "\n\n", 2),
            (Aside, "foot", 2),
        ]);
        let found: Vec<_> =
            areas(&document).iter().map(|area| (document.text[area.bytes.clone()].trim(), area.is_aside)).collect();
        assert_eq!(found, [("head", true), ("one", false), ("foot", true), ("foot", true)]);
        let whole: String = areas(&document).iter().map(|area| &document.text[area.bytes.clone()]).collect();
        assert_eq!(whole, document.text);
    }
}
