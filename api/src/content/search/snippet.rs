//! From a chunk with marked words to a snippet: the stretch with most of them.

use nvisy_shared::store::search::{MARK_END, MARK_START};

use super::wire::{Highlight, Snippet};

/// Longest snippet, in bytes; a few more where a word would be cut.
const LENGTH: usize = 300;
/// How much stands before the first highlight.
const LEAD: usize = 60;

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
    let held = |first: &Highlight| {
        let end = first.start.saturating_sub(LEAD) + LENGTH;
        marks.iter().filter(|mark| mark.start >= first.start && mark.end <= end).count()
    };
    // Of equals the first: readers expect the beginning.
    let best = marks.iter().rev().max_by_key(|first| held(first));
    let start = best.map_or(0, |first| first.start.saturating_sub(LEAD));
    let start = word_start(text, text.floor_char_boundary(start));
    let end = text.ceil_char_boundary((start + LENGTH).min(text.len()));
    let end = text[end..].find(char::is_whitespace).map_or(text.len(), |rest| end + rest);
    // One endless word is cut rather than shown whole.
    (start, end.min(text.ceil_char_boundary((start + 2 * LENGTH).min(text.len()))))
}

fn word_start(text: &str, place: usize) -> usize {
    if place == 0 {
        return 0;
    }
    text[place..]
        .char_indices()
        .find(|(_, c)| c.is_whitespace())
        .map_or(place, |(offset, c)| place + offset + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(text: &str, word: &str) -> String {
        text.replace(word, &format!("{MARK_START}{word}{MARK_END}"))
    }

    #[test]
    fn highlights_are_where_the_words_are() {
        let snippet = snippet(&mark("The tide turns. Ebb tide follows.", "tide"));
        assert_eq!(snippet.text, "The tide turns. Ebb tide follows.");
        let words: Vec<_> = snippet.highlights.iter().map(|range| &snippet.text[range.start..range.end]).collect();
        assert_eq!(words, ["tide", "tide"]);
    }

    #[test]
    fn the_stretch_with_most_words_is_shown() {
        let text = format!("One gate here. {}Gate, gate and gate again, größer.", "Filler words. ".repeat(60));
        let snippet = snippet(&mark(&text, "ate"));
        assert!(snippet.text.contains("again"), "{}", snippet.text);
        assert!(snippet.text.len() < 320);
        assert_eq!(snippet.highlights.len(), 3);
    }

    #[test]
    fn without_marks_it_is_the_beginning() {
        assert!(snippet(&"Wörter ".repeat(200)).text.starts_with("Wörter Wörter"));
        assert_eq!(snippet("").text, "");
        assert!(snippet(&"水".repeat(2000)).text.len() <= 603);
    }
}
