//! Pieces of a number of characters.

use std::ops::Range;

use nvisy_extract::Document;

use super::{
    areas::areas,
    cut::trimmed,
    outline::Outline,
    piece::{ChunkModel, Piece},
};

/// Limits of a piece, in characters.
#[derive(Clone, Copy, Debug)]
pub struct CharacterLimits {
    /// Most characters of a piece; the model may accept fewer.
    pub max_characters: usize,
    /// Characters that a piece repeats of the one before; at most half of `max_characters` count.
    pub overlap_characters: usize,
}

/// The pieces of a document, in order. They end at white space where there is some in the second half of a piece.
#[must_use]
pub fn by_characters(document: &Document, model: &ChunkModel, limits: CharacterLimits) -> Vec<Piece> {
    let outline = Outline::new(document, model);
    let mut pieces = Vec::new();
    for area in areas(document) {
        for range in ranges(&document.text[..area.bytes.end], area.bytes.start, limits) {
            outline.add(range, &mut pieces);
        }
    }
    pieces
}

/// The ranges of a text from an offset on.
fn ranges(text: &str, from: usize, limits: CharacterLimits) -> Vec<Range<usize>> {
    let max = limits.max_characters.max(2);
    let overlap = limits.overlap_characters.min(max / 2);
    let mut ranges = Vec::new();
    let (mut start, mut covered) = (from, from);
    while let Some(rest) = trimmed(text, start..text.len()) {
        start = rest.start;
        let half = after(text, start, max / 2);
        let limit = after(text, half, max - max / 2);
        let end = if limit >= rest.end { rest.end } else { word_end(text, half, limit, covered) };
        ranges.extend(trimmed(text, start..end));
        covered = end;
        start = if overlap > 0 && end < rest.end { overlap_start(text, start, end, overlap) } else { end };
    }
    ranges
}

/// The byte offset `characters` after `from`, or the end.
fn after(text: &str, from: usize, characters: usize) -> usize {
    text[from..].char_indices().nth(characters).map_or(text.len(), |(offset, _)| from + offset)
}

/// The last end of a word between two offsets and behind `covered`; without one, the second offset.
fn word_end(text: &str, from: usize, limit: usize, covered: usize) -> usize {
    if text[limit..].starts_with(char::is_whitespace) {
        return limit;
    }
    let place = text[from..limit].rfind(char::is_whitespace).map(|place| from + place);
    place.filter(|place| *place > covered).unwrap_or(limit)
}

/// The first start of a word at most `characters` before `end` and behind `start`; without one, `end`.
fn overlap_start(text: &str, start: usize, end: usize, characters: usize) -> usize {
    let earliest =
        text[start..end].char_indices().rev().nth(characters - 1).map_or(start, |(offset, _)| start + offset);
    let before = text[..earliest].chars().next_back();
    if earliest > start && before.is_some_and(char::is_whitespace) {
        return earliest;
    }
    let space = text[earliest..end].find(char::is_whitespace);
    space.map_or(end, |space| earliest + space)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{
        super::outline::tests::{
            assert_asides_are_apart, assert_later_pieces_have_the_header, check, model, table, texts, with_asides,
        },
        *,
    };

    fn pieces(text: &str, max_characters: usize, overlap_characters: usize) -> Vec<String> {
        let document = Document { text: text.to_owned(), ..Document::default() };
        let model = model(10_000, false);
        let pieces = by_characters(&document, &model, CharacterLimits { max_characters, overlap_characters });
        check(&document, &model, &pieces);
        pieces.into_iter().map(|piece| text[piece.bytes].to_owned()).collect()
    }

    #[test]
    fn pieces_end_at_white_space() {
        assert_eq!(pieces("alpha beta gamma delta", 11, 0), ["alpha beta", "gamma delta"]);
        assert_eq!(pieces("alpha beta gamma delta", 10, 0), ["alpha beta", "gamma", "delta"]);
        // Without white space in the second half a word is cut.
        assert_eq!(pieces("ab cdefghijklmnop", 8, 0), ["ab cdefg", "hijklmno", "p"]);
    }

    #[test]
    fn text_beside_the_body_is_apart() {
        let document = with_asides();
        let limits = CharacterLimits { max_characters: 1_000, overlap_characters: 20 };
        assert_asides_are_apart(&document, &by_characters(&document, &model(100, false), limits));
    }

    #[test]
    fn piece_within_a_table_has_its_header_as_prefix() {
        let document = table();
        let limits = CharacterLimits { max_characters: 90, overlap_characters: 0 };
        for (max_tokens, contextual) in [(200, false), (40, true)] {
            let model = model(max_tokens, contextual);
            let pieces = by_characters(&document, &model, limits);
            check(&document, &model, &pieces);
            assert_later_pieces_have_the_header(&pieces);
        }
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        assert_eq!(pieces("äöüß水火", 3, 0), ["äöü", "ß水火"]);
    }

    #[test]
    fn overlap_repeats_whole_words() {
        assert_eq!(pieces("alpha beta gamma delta", 12, 6), ["alpha beta", "beta gamma", "gamma delta"]);
    }

    #[test]
    fn any_text_is_covered() {
        for text in texts() {
            for (max, overlap) in [(50, 0), (50, 25), (7, 3), (1000, 500), (2, 1)] {
                for found in pieces(&text, max, overlap) {
                    assert!(found.chars().count() <= max);
                }
            }
        }
    }

    #[test]
    fn pieces_too_long_for_the_model_are_cut_again() {
        let document = Document { text: "word ".repeat(400), ..Document::default() };
        let model = model(100, false);
        let limits = CharacterLimits { max_characters: 1_000, overlap_characters: 0 };
        let pieces = by_characters(&document, &model, limits);
        check(&document, &model, &pieces);
        assert!(pieces.len() > 2);
    }

    #[test]
    fn endless_line_is_cut_in_bounded_time() {
        let started = Instant::now();
        let text = "x".repeat(4 << 20);
        let document = Document { text, ..Document::default() };
        let model = model(10_000, false);
        let pieces = by_characters(&document, &model, CharacterLimits { max_characters: 50, overlap_characters: 25 });
        assert!(pieces.len() >= (4 << 20) / 50);
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    }
}
