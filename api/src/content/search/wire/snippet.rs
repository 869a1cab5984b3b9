//! Makes a snippet from a chunk with marked words: the passage with most of them.

use nvisy_shared::store::search::{MARK_END, MARK_START};
use schemars::JsonSchema;
use serde::Serialize;

/// A snippet may be a few bytes longer, to end with a whole word.
const MAX_BYTES: usize = 300;
/// The text before the first highlight.
const CONTEXT_BYTES: usize = 60;

/// A part of a passage.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Snippet {
    /// The text, as in the file.
    pub text: String,
    /// The byte ranges of the matching words.
    pub highlights: Vec<Highlight>,
}

/// A range of bytes of a snippet.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Highlight {
    /// The first byte.
    pub start: usize,
    /// The position after the last byte.
    pub end: usize,
}

/// The part of the text that holds most marked words, or its beginning when nothing is marked.
pub fn snippet(marked: &str) -> Snippet {
    let (text, marks) = unmark(marked);
    let (start, end) = window(&text, &marks);
    let inside = marks.into_iter().filter(|mark| mark.start >= start && mark.end <= end);
    let highlights = inside.map(|mark| Highlight { start: mark.start - start, end: mark.end - start }).collect();
    Snippet { text: text[start..end].to_owned(), highlights }
}

fn unmark(marked: &str) -> (String, Vec<Highlight>) {
    let mut text = String::with_capacity(marked.len());
    let mut marks = Vec::new();
    let mut open = None;
    for c in marked.chars() {
        match c {
            MARK_START => open = Some(text.len()),
            MARK_END => marks.extend(open.take().map(|start| Highlight { start, end: text.len() })),
            c => text.push(c),
        }
    }
    (text, marks)
}

fn window(text: &str, marks: &[Highlight]) -> (usize, usize) {
    let marks_from = |first: &Highlight| {
        let end = first.start.saturating_sub(CONTEXT_BYTES) + MAX_BYTES;
        marks.iter().filter(|mark| mark.start >= first.start && mark.end <= end).count()
    };
    // The first one of equally good passages.
    let best = marks.iter().rev().max_by_key(|first| marks_from(first));
    let start = best.map_or(0, |first| first.start.saturating_sub(CONTEXT_BYTES));
    let start = word_start(text, text.floor_char_boundary(start));
    let end = text.ceil_char_boundary((start + MAX_BYTES).min(text.len()));
    let end = text[end..].find(char::is_whitespace).map_or(text.len(), |rest| end + rest);
    // A very long word is cut.
    (start, end.min(text.ceil_char_boundary((start + 2 * MAX_BYTES).min(text.len()))))
}

fn word_start(text: &str, position: usize) -> usize {
    if position == 0 {
        return 0;
    }
    text[position..]
        .char_indices()
        .find(|(_, c)| c.is_whitespace())
        .map_or(position, |(offset, c)| position + offset + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(text: &str, word: &str) -> String {
        text.replace(word, &format!("{MARK_START}{word}{MARK_END}"))
    }

    #[test]
    fn highlights_are_the_byte_ranges_of_the_marked_words() {
        let snippet = snippet(&mark("The tide turns. Ebb tide follows.", "tide"));
        assert_eq!(snippet.text, "The tide turns. Ebb tide follows.");
        let words: Vec<_> = snippet.highlights.iter().map(|range| &snippet.text[range.start..range.end]).collect();
        assert_eq!(words, ["tide", "tide"]);
    }

    #[test]
    fn snippet_is_the_passage_with_most_marked_words() {
        let text = format!("One gate here. {}Gate, gate and gate again, größer.", "Filler words. ".repeat(60));
        let snippet = snippet(&mark(&text, "ate"));
        assert!(snippet.text.contains("again"), "{}", snippet.text);
        assert!(snippet.text.len() < 320);
        assert_eq!(snippet.highlights.len(), 3);
    }

    #[test]
    fn snippet_without_marked_words_is_the_beginning() {
        assert!(snippet(&"Wörter ".repeat(200)).text.starts_with("Wörter Wörter"));
        assert_eq!(snippet("").text, "");
        assert!(snippet(&"水".repeat(2000)).text.len() <= 603);
    }
}
