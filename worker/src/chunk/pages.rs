//! Pieces of one or several pages.

use std::ops::Range;

use nvisy_extract::Document;

use super::{
    areas::{areas, elements_in},
    outline::Outline,
    piece::{ChunkModel, Piece},
};

/// Limits of a piece, in pages.
#[derive(Clone, Copy, Debug)]
pub struct PageLimits {
    /// Pages of a piece. Longer text than the model accepts is cut again.
    pub pages: u32,
    /// Pages that a piece repeats of the one before, fewer than `pages`.
    pub overlap_pages: u32,
}

/// The pieces of a document, in order. A document without pages is one page.
#[must_use]
pub fn by_pages(document: &Document, model: &ChunkModel, limits: PageLimits) -> Vec<Piece> {
    let outline = Outline::new(document, model);
    let mut pieces = Vec::new();
    for area in areas(document) {
        for ascending in ascending(document, area.bytes) {
            for range in ranges(document, ascending, limits) {
                outline.add(range, &mut pieces);
            }
        }
    }
    pieces
}

/// Parts of a range in which no page comes before an earlier one: notes at the end of a document begin again.
fn ascending(document: &Document, bytes: Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut last) = (bytes.start, 0);
    for element in elements_in(document, &bytes) {
        let Some(page) = element.page else { continue };
        if page < last {
            parts.push(start..element.start);
            start = element.start;
        }
        last = page;
    }
    parts.push(start..bytes.end);
    parts
}

/// The ranges of the pieces of a part whose pages ascend.
fn ranges(document: &Document, part: Range<usize>, limits: PageLimits) -> Vec<Range<usize>> {
    // The pages with text, each with its first byte; blank pages have a number only.
    let mut starts: Vec<(u32, usize)> = Vec::new();
    for element in elements_in(document, &part) {
        if let Some(page) = element.page.filter(|page| starts.last().is_none_or(|(last, _)| page > last)) {
            starts.push((page, if starts.is_empty() { part.start } else { element.start }));
        }
    }
    let last = starts.last().map_or(1, |(page, _)| *page);
    let start = |page: u32| {
        let place = starts.partition_point(|(number, _)| *number < page);
        starts.get(place).map_or(part.end, |(_, start)| *start)
    };
    let pages = limits.pages.max(1);
    let step = pages.saturating_sub(limits.overlap_pages).max(1);
    let mut ranges = Vec::new();
    // The first piece that the first page belongs to, counted from page 1 of the document.
    let before = starts.first().map_or(0, |(page, _)| page.saturating_sub(pages).div_ceil(step));
    let (mut first, mut covered) = (before.saturating_mul(step).saturating_add(1), part.start);
    loop {
        let after = first.saturating_add(pages);
        let from = if ranges.is_empty() { part.start } else { start(first) };
        let to = start(after);
        // Blank pages add nothing to the pages that are repeated.
        if to > covered {
            ranges.push(from..to);
            covered = to;
        }
        if after > last {
            return ranges;
        }
        first = first.saturating_add(step);
    }
}

#[cfg(test)]
mod tests {
    use nvisy_extract::ElementKind::{Aside, PageBreak, Paragraph};

    use super::{
        super::outline::tests::{assert_asides_are_apart, check, document, model, texts, with_asides},
        *,
    };

    fn pieces(document: &Document, pages: u32, overlap_pages: u32) -> Vec<(String, Option<u32>)> {
        let model = model(100, false);
        let pieces = by_pages(document, &model, PageLimits { pages, overlap_pages });
        check(document, &model, &pieces);
        pieces.into_iter().map(|piece| (document.text[piece.bytes].replace("\n\n", " "), piece.page)).collect()
    }

    #[test]
    fn pieces_have_whole_pages() {
        let document = document(&[
            (Paragraph, "one", 1),
            (Paragraph, "more", 1),
            (Paragraph, "two", 2),
            // Page 3 is blank.
            (PageBreak, "\n\n", 4),
            (Paragraph, "four", 4),
            (Paragraph, "five", 5),
        ]);
        let owned = |text: &str, page: u32| (text.to_owned(), Some(page));
        assert_eq!(
            pieces(&document, 1, 0),
            [owned("one more", 1), owned("two", 2), owned("four", 4), owned("five", 5)]
        );
        assert_eq!(pieces(&document, 2, 0), [owned("one more two", 1), owned("four", 4), owned("five", 5)]);
        assert_eq!(pieces(&document, 3, 1), [owned("one more two", 1), owned("four five", 4)]);
        assert_eq!(pieces(&document, 50, 49).len(), 1);
    }

    #[test]
    fn text_before_the_first_page_and_documents_without_pages_are_covered() {
        let mut odd = document(&[(Paragraph, "cover", 3), (Paragraph, "end", 4)]);
        odd.elements.remove(0);
        assert_eq!(pieces(&odd, 1, 0).len(), 1);
        for text in texts() {
            let document = Document { text, ..Document::default() };
            pieces(&document, 1, 0);
            pieces(&document, 3, 2);
        }
    }

    #[test]
    fn text_beside_the_body_is_apart_with_its_own_page() {
        let document = with_asides();
        let model = model(100, false);
        for (pages, overlap_pages) in [(1, 0), (3, 1)] {
            let found = by_pages(&document, &model, PageLimits { pages, overlap_pages });
            assert_asides_are_apart(&document, &found);
        }
        let notes = self::document(&[
            (Paragraph, "one", 1),
            (Paragraph, "two", 2),
            (Paragraph, "three", 3),
            (Aside, "head", 3),
            (Aside, "note one", 1),
            (Aside, "note three", 3),
        ]);
        let owned = |text: &str, page: u32| (text.to_owned(), Some(page));
        assert_eq!(
            pieces(&notes, 2, 0),
            [owned("one two", 1), owned("three", 3), owned("head", 3), owned("note one", 1), owned("note three", 3)]
        );
    }

    #[test]
    fn long_pages_are_cut_again() {
        let document = document(&[(Paragraph, &"word ".repeat(300), 1), (Paragraph, "two", 2)]);
        let found = pieces(&document, 1, 0);
        assert!(found.len() > 3);
        assert_eq!(found.last().unwrap(), &("two".to_owned(), Some(2)));
        assert!(found[..found.len() - 1].iter().all(|(_, page)| *page == Some(1)));
    }
}
