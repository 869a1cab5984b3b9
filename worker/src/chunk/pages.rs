//! Pieces of one or several pages.

use std::ops::Range;

use nvisy_extract::Document;

use super::{
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
    for range in ranges(document, limits) {
        outline.add(range, &mut pieces);
    }
    pieces
}

fn ranges(document: &Document, limits: PageLimits) -> Vec<Range<usize>> {
    // The pages with text, each with its first byte; blank pages have a number only.
    let mut starts: Vec<(u32, usize)> = Vec::new();
    for element in &document.elements {
        if let Some(page) = element.page.filter(|page| starts.last().is_none_or(|(last, _)| page > last)) {
            starts.push((page, if starts.is_empty() { 0 } else { element.start }));
        }
    }
    let last = starts.last().map_or(1, |(page, _)| *page);
    let start = |page: u32| {
        let place = starts.partition_point(|(number, _)| *number < page);
        starts.get(place).map_or(document.text.len(), |(_, start)| *start)
    };
    let pages = limits.pages.max(1);
    let step = pages.saturating_sub(limits.overlap_pages).max(1);
    let mut ranges = Vec::new();
    let (mut first, mut covered) = (1_u32, 0);
    loop {
        let after = first.saturating_add(pages);
        let (from, to) = (if first == 1 { 0 } else { start(first) }, start(after));
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
    use nvisy_extract::ElementKind::{PageBreak, Paragraph};

    use super::{
        super::outline::tests::{check, document, model, texts},
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
    fn long_pages_are_cut_again() {
        let document = document(&[(Paragraph, &"word ".repeat(300), 1), (Paragraph, "two", 2)]);
        let found = pieces(&document, 1, 0);
        assert!(found.len() > 3);
        assert_eq!(found.last().unwrap(), &("two".to_owned(), Some(2)));
        assert!(found[..found.len() - 1].iter().all(|(_, page)| *page == Some(1)));
    }
}
