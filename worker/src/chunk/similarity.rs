//! Pieces of neighbouring sentences that are about the same.
//!
//! [`Stretches::new`] divides a document into sentences, the caller computes the similarity of neighbours with the model, and
//! [`Stretches::pieces`] joins them.

use std::ops::Range;

use nvisy_extract::Document;

use super::{
    areas::{areas, elements_in},
    cut::{cut, trimmed},
    outline::{Outline, heading_level},
    piece::{ChunkModel, Piece},
    sentences::sentences,
};

/// Most stretches of a document: a longer one has longer stretches, so that the model is called a bounded number of times.
const MAX_STRETCHES: usize = 4_096;
/// Shorter sentences are joined with the next one: single words have no subject.
const MIN_SENTENCE_BYTES: usize = 24;

/// Limits of a piece.
#[derive(Clone, Copy, Debug)]
pub struct SimilarityLimits {
    /// Most tokens of a piece; the model may accept fewer.
    pub max_tokens: usize,
    /// The similarity of neighbours below which a piece ends.
    pub threshold: f64,
}

/// The sentences of a document, or longer stretches of a long one.
#[derive(Clone, Debug)]
pub struct Stretches {
    stretches: Vec<Stretch>,
}

#[derive(Clone, Debug)]
struct Stretch {
    bytes: Range<usize>,
    tokens: usize,
    /// Whether it begins an area of the document: the body, or text beside it.
    begins_area: bool,
}

impl Stretches {
    /// The stretches of a document, which together cover all text but white space. Headings belong to the text below them.
    #[must_use]
    pub fn new(document: &Document, model: &ChunkModel) -> Self {
        let min_bytes = MIN_SENTENCE_BYTES.max(document.text.len() / MAX_STRETCHES);
        let mut stretches = Vec::new();
        for area in areas(document) {
            let mut open: Option<Range<usize>> = None;
            let mut begins_area = true;
            let mut add = |range: Range<usize>| {
                for part in fitting(document, model, range) {
                    let tokens = model.tokenizer.count(&document.text[part.clone()]);
                    stretches.push(Stretch { bytes: part, tokens, begins_area });
                    begins_area = false;
                }
            };
            for (range, is_heading) in parts(document, area.bytes) {
                let Some(range) = trimmed(&document.text, range) else { continue };
                let joined = open.take().map_or(range.start, |open| open.start)..range.end;
                if is_heading || joined.len() < min_bytes {
                    open = Some(joined);
                } else {
                    add(joined);
                }
            }
            if let Some(rest) = open {
                add(rest);
            }
        }
        Self { stretches }
    }

    /// The ranges of the stretches to compare with their next one; `None` for those that would exceed `max_tokens` together
    /// with any neighbour.
    pub fn compared(&self, max_tokens: usize) -> impl Iterator<Item = Option<Range<usize>>> + '_ {
        let fits = move |first: usize| {
            let pair = self.stretches.get(first).zip(self.stretches.get(first + 1));
            pair.is_some_and(|(one, next)| !next.begins_area && one.tokens + next.tokens <= max_tokens)
        };
        self.stretches.iter().enumerate().map(move |(place, stretch)| {
            let is_compared = fits(place) || place.checked_sub(1).is_some_and(fits);
            is_compared.then(|| stretch.bytes.clone())
        })
    }

    /// Joins neighbours while they are similar and fit. `similarities` has that of each stretch and its next one; an unknown
    /// one separates.
    #[must_use]
    pub fn pieces(
        &self,
        document: &Document,
        model: &ChunkModel,
        similarities: &[Option<f64>],
        limits: SimilarityLimits,
    ) -> Vec<Piece> {
        let outline = Outline::new(document, model);
        let mut pieces = Vec::new();
        let mut place = 0;
        while let Some(first) = self.stretches.get(place) {
            let (mut bytes, mut tokens) = (first.bytes.clone(), first.tokens);
            while let Some(next) = self.stretches.get(place + 1) {
                let is_similar =
                    similarities.get(place).copied().flatten().is_some_and(|value| value >= limits.threshold);
                let joined = bytes.start..next.bytes.end;
                let max_tokens = limits.max_tokens.min(outline.max_tokens(&joined));
                if next.begins_area || !is_similar || tokens + next.tokens > max_tokens {
                    break;
                }
                (bytes, tokens) = (joined, tokens + next.tokens);
                place += 1;
            }
            add(&outline, bytes, limits.max_tokens, &mut pieces);
            place += 1;
        }
        pieces
    }
}

/// Adds the piece of a range, cut again if it is longer than the limit.
fn add(outline: &Outline<'_>, bytes: Range<usize>, max_tokens: usize, pieces: &mut Vec<Piece>) {
    let tokenizer = &outline.model.tokenizer;
    let max_tokens = max_tokens.min(outline.max_tokens(&bytes)).max(1);
    if tokenizer.count(&outline.document.text[bytes.clone()]) <= max_tokens {
        outline.add(bytes, pieces);
        return;
    }
    for part in cut(&outline.document.text, bytes, tokenizer, max_tokens, 0) {
        outline.add(part, pieces);
    }
}

/// The range, or parts of it that the model reads whole, if there may be so many.
fn fitting(document: &Document, model: &ChunkModel, range: Range<usize>) -> Vec<Range<usize>> {
    let is_bounded = document.text.len() / MAX_STRETCHES >= MIN_SENTENCE_BYTES;
    if is_bounded || model.tokenizer.count(&document.text[range.clone()]) <= model.max_tokens {
        return vec![range];
    }
    cut(&document.text, range, &model.tokenizer, model.max_tokens, 0)
}

/// The sentences of an area in order, and whether each is part of a heading. No sentence crosses an element's border.
fn parts(document: &Document, area: Range<usize>) -> Vec<(Range<usize>, bool)> {
    let text = &document.text;
    let mut parts = Vec::new();
    let mut from = area.start;
    let plain = |range: Range<usize>| sentences(text, range).into_iter().map(|range| (range, false));
    for element in elements_in(document, &area) {
        parts.extend(plain(from..element.start.max(from)));
        let range = element.start.max(from)..element.end.max(from);
        match heading_level(element.kind) {
            Some(_) => parts.push((range, true)),
            None => parts.extend(plain(range)),
        }
        from = from.max(element.end);
    }
    parts.extend(plain(from..area.end.max(from)));
    parts
}

#[cfg(test)]
mod tests {
    use nvisy_extract::ElementKind::{Heading, Paragraph};

    use super::{
        super::outline::tests::{
            assert_asides_are_apart, assert_later_pieces_have_the_header, check, document, model, table, texts,
            with_asides,
        },
        *,
    };

    fn cut_with(document: &Document, model: &ChunkModel, similarity: f64, max_tokens: usize) -> Vec<Piece> {
        let stretches = Stretches::new(document, model);
        let similarities: Vec<_> =
            stretches.compared(max_tokens).map(|compared| compared.map(|_| similarity)).collect();
        let limits = SimilarityLimits { max_tokens, threshold: 0.5 };
        let pieces = stretches.pieces(document, model, &similarities, limits);
        check(document, model, &pieces);
        pieces
    }

    #[test]
    fn pieces_end_where_neighbours_differ() {
        let text =
            "The turbine turns with the tide. Its blades are cleaned each spring. The cafeteria serves soup today.";
        let document = Document { text: text.to_owned(), ..Document::default() };
        let model = model(100, false);
        let stretches = Stretches::new(&document, &model);
        assert_eq!(stretches.compared(100).count(), 3);
        let limits = SimilarityLimits { max_tokens: 100, threshold: 0.5 };
        let pieces = stretches.pieces(&document, &model, &[Some(0.5), Some(0.4), None], limits);
        check(&document, &model, &pieces);
        let found: Vec<_> = pieces.iter().map(|piece| &text[piece.bytes.clone()]).collect();
        assert_eq!(found.len(), 2);
        assert!(found[0].ends_with("spring.") && found[1].starts_with("The cafeteria"), "{found:?}");
    }

    #[test]
    fn similar_neighbours_fill_pieces_up_to_the_limit() {
        let document = Document { text: "A sentence with several words. ".repeat(40), ..Document::default() };
        let model = model(100, false);
        let pieces = cut_with(&document, &model, 1.0, 60);
        assert!(pieces.iter().all(|piece| piece.tokens <= 60));
        assert!(pieces.len() < 40 / 3);
        assert_eq!(cut_with(&document, &model, 0.0, 60).len(), 40);
    }

    #[test]
    fn text_beside_the_body_is_apart() {
        let document = with_asides();
        assert_asides_are_apart(&document, &cut_with(&document, &model(100, false), 1.0, 100));
    }

    #[test]
    fn piece_within_a_table_has_its_header_as_prefix() {
        let document = table();
        for similarity in [0.0, 1.0] {
            assert_later_pieces_have_the_header(&cut_with(&document, &model(40, false), similarity, 30));
        }
    }

    #[test]
    fn headings_stay_with_the_text_below() {
        let body = "Words that are long enough to be a sentence of their own.";
        let document = document(&[(Heading { level: 1 }, "One", 1), (Paragraph, body, 1), (Paragraph, body, 2)]);
        let model = model(100, true);
        let pieces = cut_with(&document, &model, 0.0, 100);
        assert_eq!(pieces.len(), 2);
        assert!(document.text[pieces[0].bytes.clone()].starts_with("One\n\nWords"));
        assert_eq!((pieces[0].prefix.as_deref(), pieces[1].prefix.as_deref()), (None, Some("One")));
    }

    #[test]
    fn any_text_is_covered() {
        for text in texts() {
            for (similarity, max_tokens) in [(1.0, 20), (0.0, 20), (1.0, 1)] {
                let document = Document { text: text.clone(), ..Document::default() };
                cut_with(&document, &model(20, true), similarity, max_tokens);
            }
        }
    }

    #[test]
    fn long_document_has_a_bounded_number_of_stretches() {
        for text in ["A sentence of a book. ".repeat(200_000), "x".repeat(4 << 20)] {
            let document = Document { text, ..Document::default() };
            let model = model(254, false);
            let stretches = Stretches::new(&document, &model);
            assert!(stretches.compared(254).flatten().count() <= MAX_STRETCHES + 1);
            cut_with(&document, &model, 1.0, 254);
        }
    }
}
