//! Cutting a range of text at natural pauses, by tokens.

use std::ops::Range;

use nvisy_embed::Tokenizer;

/// Most bytes of a token.
pub(super) const MAX_TOKEN_BYTES: usize = 64;
/// Bytes of text that are tokenized at once, which bounds the memory for files with one endless line.
const WINDOW_BYTES: usize = 256 * 1024;

/// Byte ranges of `text` within `range`, in order, without white space at their ends. Together they cover everything but white
/// space; consecutive ones overlap by up to `overlap_tokens`.
pub(super) fn cut(
    text: &str,
    range: Range<usize>,
    tokenizer: &Tokenizer,
    max_tokens: usize,
    overlap_tokens: usize,
) -> Vec<Range<usize>> {
    let mut cutter = Cutter { text, tokenizer, max_tokens: max_tokens.max(1), overlap_tokens, pieces: Vec::new() };
    let mut from = range.start;
    while from < range.end {
        let to = window_end(text, from, range.end);
        cutter.window(from..to);
        from = to;
    }
    cutter.pieces
}

struct Cutter<'a> {
    text: &'a str,
    tokenizer: &'a Tokenizer,
    max_tokens: usize,
    overlap_tokens: usize,
    pieces: Vec<Range<usize>>,
}

/// The end of the window: the last natural pause in its second half.
fn window_end(text: &str, from: usize, end: usize) -> usize {
    if end - from <= WINDOW_BYTES {
        return end;
    }
    let limit = text.floor_char_boundary(from + WINDOW_BYTES);
    best_break(text, from + WINDOW_BYTES / 2, limit).unwrap_or(limit)
}

impl Cutter<'_> {
    /// Where the tokens of a window begin. A token of very many bytes counts as several: a tokenizer may know none of the words
    /// of an endless line, and a piece is bounded in bytes, too.
    fn starts(&self, window: Range<usize>) -> Vec<usize> {
        let mut starts: Vec<usize> = Vec::new();
        let mut reach = window.start;
        let offsets = self.tokenizer.offsets(&self.text[window.clone()]);
        for start in offsets.into_iter().map(|(start, _)| window.start + start).chain([window.end]) {
            while let Some(&last) = starts.last()
                && start.saturating_sub(last.max(reach)) > MAX_TOKEN_BYTES
            {
                reach = self.text.ceil_char_boundary(last + MAX_TOKEN_BYTES);
                starts.push(reach);
            }
            starts.push(start);
        }
        starts.pop();
        starts
    }

    fn window(&mut self, window: Range<usize>) {
        let (text, max) = (self.text, self.max_tokens);
        let tokens = self.starts(window.clone());
        let mut first = 0;
        while first < tokens.len() {
            let start = tokens[first];
            let mut after = (first + max).min(tokens.len());
            let mut end = if after == tokens.len() {
                window.end
            } else {
                let half = tokens[first + max / 2];
                best_break(text, half, tokens[after]).unwrap_or(tokens[after])
            };
            // Cut out, a piece can have more tokens than within the whole text, because a word cut in two is tokenized anew.
            while after > first + 1 && self.tokenizer.count(&text[start..end]) > max {
                after -= 1;
                end = tokens[after].max(text.ceil_char_boundary(start + 1));
            }
            self.pieces.extend(trimmed(text, start..end));
            if end >= window.end {
                return;
            }
            let next = tokens.partition_point(|&token| token < end);
            first = next.max(first + 1);
            // The overlap has whole words only, and is short enough that each piece advances.
            let overlap = self.overlap_tokens.min(max / 2);
            if overlap > 0 {
                let back = next.saturating_sub(overlap).max(first.saturating_sub(max / 2));
                let word = (back..next).find(|&token| text[..tokens[token]].ends_with(char::is_whitespace));
                first = word.filter(|&token| tokens[token] > start).unwrap_or(first);
            }
        }
    }
}

/// The range without white space at its ends.
pub(super) fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let slice = &text[range.clone()];
    let start = range.start + (slice.len() - slice.trim_start().len());
    let end = range.start + slice.trim_end().len();
    (start < end).then_some(start..end)
}

/// The best break between two offsets: the end of a paragraph, else of a line, of a sentence, or of a word; the last of its kind.
fn best_break(text: &str, from: usize, to: usize) -> Option<usize> {
    let from = text.ceil_char_boundary(from);
    if from >= to {
        return None;
    }
    let slice = &text[from..to];
    let paragraph = slice.rfind("\n\n").map(|place| place + 2);
    let line = || slice.rfind('\n').map(|place| place + 1);
    let sentence = || {
        [". ", "! ", "? ", "。", "！", "？"]
            .iter()
            .filter_map(|stop| slice.rfind(stop).map(|place| place + stop.len()))
            .max()
    };
    let word = || slice.rfind(char::is_whitespace).map(|place| text.ceil_char_boundary(from + place + 1) - from);
    paragraph.or_else(line).or_else(sentence).or_else(word).map(|place| from + place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, max_tokens: usize, overlap_tokens: usize) -> Vec<Range<usize>> {
        let tokenizer = Tokenizer::estimate();
        let pieces = cut(text, 0..text.len(), &tokenizer, max_tokens, overlap_tokens);
        let mut covered = 0;
        for piece in &pieces {
            assert!(tokenizer.count(&text[piece.clone()]) <= max_tokens, "{piece:?}");
            // Only white space is left out.
            if piece.start > covered {
                assert_eq!(text[covered..piece.start].trim(), "");
            }
            assert!(piece.end > covered, "each piece must advance");
            covered = piece.end;
        }
        assert_eq!(text[covered..].trim(), "");
        pieces
    }

    #[test]
    fn pieces_end_at_paragraphs_if_possible() {
        let text = "One two three four five six seven.\n\nEight nine ten eleven twelve thirteen fourteen fifteen.";
        let pieces = check(text, 20, 0);
        assert_eq!(&text[pieces[0].clone()], "One two three four five six seven.");
    }

    #[test]
    fn pieces_cover_all_text_of_any_shape() {
        for text in
            ["", "   \n", "a", "word ".repeat(500).as_str(), "x".repeat(3000).as_str(), "水と火。".repeat(200).as_str()]
        {
            check(text, 20, 0);
            check(text, 1, 0);
            check(text, 20, 8);
        }
    }

    #[test]
    fn overlap_repeats_whole_words() {
        let text = "alpha beta gamma delta epsilon zeta eta theta iota kappa ".repeat(5);
        let pieces = check(&text, 20, 6);
        assert!(pieces.windows(2).all(|pair| pair[1].start < pair[0].end));
        assert!(pieces.iter().all(|piece| text[..piece.start].is_empty() || text[..piece.start].ends_with(' ')));
    }

    #[test]
    fn pieces_are_bounded_in_bytes() {
        let text = "x".repeat(10_000);
        for piece in cut(&text, 0..text.len(), &Tokenizer::estimate(), 8, 0) {
            assert!(piece.len() <= 9 * MAX_TOKEN_BYTES, "{piece:?}");
        }
    }

    #[test]
    fn endless_line_is_cut_in_bounded_time() {
        let text = "lorem ipsum dolor ".repeat(200_000);
        assert!(check(&text, 254, 0).len() >= 1_200_000 / 254);
    }
}
