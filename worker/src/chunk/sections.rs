//! Pieces that begin and end at headings, paragraphs and sentences.

use std::ops::Range;

use nvisy_extract::Document;

use super::{
    cut::MAX_TOKEN_BYTES,
    outline::Outline,
    piece::{ChunkModel, Piece},
};

/// Limits of a piece, in tokens of the model.
#[derive(Clone, Copy, Debug)]
pub struct SectionLimits {
    /// Sections with fewer tokens are joined with the next one.
    pub min_tokens: Option<usize>,
    /// Most tokens of a piece; the model may accept fewer.
    pub max_tokens: usize,
    /// Tokens that a piece repeats of the one before in the same section.
    pub overlap_tokens: usize,
}

/// The pieces of a document, in order; none if it has only white space. A piece has text of one section, or of several that
/// are joined.
#[must_use]
pub fn by_sections(document: &Document, model: &ChunkModel, limits: SectionLimits) -> Vec<Piece> {
    let outline = Outline::new(document, model);
    let mut pieces = Vec::new();
    for range in joined(&outline, model, limits.min_tokens.unwrap_or(0)) {
        let max_tokens = outline.max_tokens(&range).min(limits.max_tokens.max(1));
        outline.cut(range, max_tokens, limits.overlap_tokens, &mut pieces);
    }
    pieces
}

/// The ranges of the sections, each with at least `min_tokens`, except for the last one in the body or beside it.
fn joined(outline: &Outline<'_>, model: &ChunkModel, min_tokens: usize) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let (mut tokens, mut in_aside) = (0, false);
    for section in &outline.sections {
        let range = section.bytes.clone();
        match ranges.last_mut() {
            Some(last) if tokens < min_tokens && section.is_aside == in_aside => last.end = range.end,
            _ => {
                (tokens, in_aside) = (0, section.is_aside);
                ranges.push(range.clone());
            }
        }
        if tokens < min_tokens {
            tokens += match range.len() > min_tokens.saturating_mul(MAX_TOKEN_BYTES) {
                true => min_tokens,
                false => model.tokenizer.count(&outline.document.text[range]),
            };
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use nvisy_extract::{
        Element, ElementKind,
        ElementKind::{Heading, Paragraph},
        Records,
    };

    use super::{
        super::outline::tests::{assert_asides_are_apart, check, document, model, texts, with_asides},
        *,
    };

    const LIMITS: SectionLimits = SectionLimits { min_tokens: None, max_tokens: 20, overlap_tokens: 0 };

    fn book() -> Document {
        document(&[
            (Heading { level: 1 }, "Book", 1),
            (Heading { level: 2 }, "One", 1),
            (Paragraph, "Short.", 1),
            (Heading { level: 2 }, "Two", 1),
            (Paragraph, "Also short.", 2),
            (Heading { level: 2 }, "Three", 2),
            (Paragraph, &"A long section has many words. ".repeat(5), 3),
        ])
    }

    fn described(document: &Document, pieces: &[Piece]) -> Vec<(String, String, Option<String>)> {
        let describe = |piece: &Piece| {
            let text: String = document.text[piece.bytes.clone()].chars().take(16).collect();
            (text, piece.headings.join("/"), piece.prefix.clone())
        };
        pieces.iter().map(describe).collect()
    }

    #[test]
    fn pieces_never_cross_a_heading() {
        let document = book();
        let model = model(40, false);
        let pieces = by_sections(&document, &model, LIMITS);
        check(&document, &model, &pieces);
        let owned = |text: &str, headings: &str| (text.to_owned(), headings.to_owned(), None);
        assert_eq!(
            described(&document, &pieces)[..3],
            [
                owned("Book\n\nOne\n\nShort", "Book/One"),
                owned("Two\n\nAlso short.", "Book/Two"),
                owned("Three\n\nA long se", "Book/Three"),
            ]
        );
        assert_eq!(pieces.iter().map(|piece| piece.page).take(3).collect::<Vec<_>>(), [Some(1), Some(1), Some(2)]);
    }

    #[test]
    fn short_sections_are_joined_with_the_next_one() {
        let document = book();
        let model = model(40, false);
        let pieces = by_sections(&document, &model, SectionLimits { min_tokens: Some(9), max_tokens: 40, ..LIMITS });
        check(&document, &model, &pieces);
        let found = described(&document, &pieces);
        // Joined sections have the headings that both have.
        assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("Book\n\nOne\n\nShort", "Book"));
        assert!(document.text[pieces[0].bytes.clone()].ends_with("Also short."));
        assert_eq!((found[1].0.as_str(), found[1].1.as_str()), ("Three\n\nA long se", "Book/Three"));
    }

    #[test]
    fn prefix_has_the_headings_that_the_text_does_not_have() {
        let document = book();
        let model = model(20, true);
        let pieces = by_sections(&document, &model, LIMITS);
        check(&document, &model, &pieces);
        let prefixes: Vec<_> = pieces.iter().map(|piece| piece.prefix.as_deref()).collect();
        assert_eq!(prefixes[..3], [None, Some("Book"), Some("Book")]);
        assert!(prefixes[3..].iter().all(|prefix| *prefix == Some("Book > Three")), "{prefixes:?}");
    }

    #[test]
    fn long_table_is_cut_between_records_with_its_header_as_prefix() {
        let mut text = "name,note\n".to_owned();
        for number in 0..60 {
            text.push_str(&format!("Cable {number},\"two\nlines {number}\"\n"));
        }
        let mut table = Element::new(ElementKind::Table, 0..text.trim_end().len(), None);
        table.records = Some(Records { header_bytes: 9, is_quoted: true });
        let document = Document { text: text.clone(), elements: vec![table], ..Document::default() };
        let model = model(60, false);
        let pieces =
            by_sections(&document, &model, SectionLimits { min_tokens: None, max_tokens: 60, overlap_tokens: 0 });
        check(&document, &model, &pieces);
        assert!(pieces.len() > 5);
        assert_eq!(pieces[0].prefix, None);
        for piece in &pieces[1..] {
            assert_eq!(piece.prefix.as_deref(), Some("name,note"));
            let words = &text[piece.bytes.clone()];
            assert!(
                words.starts_with("Cable") && words.ends_with('"') && words.matches('"').count().is_multiple_of(2),
                "{words}"
            );
        }
    }

    #[test]
    fn text_beside_the_body_is_apart_and_under_no_heading() {
        let document = document(&[
            (Heading { level: 1 }, "One", 1),
            (Paragraph, "Body.", 1),
            (ElementKind::Aside, "Head of the page", 1),
        ]);
        let model = model(40, false);
        let pieces = by_sections(&document, &model, LIMITS);
        check(&document, &model, &pieces);
        let found = described(&document, &pieces);
        assert_eq!((found[1].0.as_str(), found[1].1.as_str()), ("Head of the page", ""));
        let document = with_asides();
        for min_tokens in [None, Some(40)] {
            assert_asides_are_apart(&document, &by_sections(&document, &model, SectionLimits { min_tokens, ..LIMITS }));
        }
    }

    #[test]
    fn any_text_is_covered() {
        for text in texts() {
            for (max_tokens, overlap_tokens) in [(20, 0), (1, 0), (20, 8)] {
                let document = Document { text: text.clone(), ..Document::default() };
                let model = model(20, true);
                let limits = SectionLimits { min_tokens: Some(5), max_tokens, overlap_tokens };
                check(&document, &model, &by_sections(&document, &model, limits));
            }
        }
    }
}
