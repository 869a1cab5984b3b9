//! Splitting long texts into parts that a model reads at once.

use std::ops::Range;

/// Parts of a text of at most `max` bytes that together are all of it. A part ends at a blank line if there is one in its second
/// half, otherwise at a line end, a sentence, a space, or anywhere between two characters.
pub(in crate::pipeline) fn windows(text: &str, max: usize) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let end = if text.len() - start <= max { text.len() } else { cut(text, start..start + max) };
        windows.push(start..end);
        start = end;
    }
    windows
}

/// A part in two halves.
pub(super) fn halves(text: &str, range: Range<usize>) -> (Range<usize>, Range<usize>) {
    let middle = range.start + range.len().div_ceil(2);
    let cut = cut(text, range.start..middle);
    (range.start..cut, cut..range.end)
}

/// Where a part that begins at `range.start` ends: at most at `range.end`, and behind at least one character.
fn cut(text: &str, range: Range<usize>) -> usize {
    let end = (range.start + 1..=range.end).rev().find(|&end| text.is_char_boundary(end));
    let Some(end) = end else { return next_boundary(text, range.start) };
    let middle = (range.start + range.len() / 2..end).find(|&middle| text.is_char_boundary(middle)).unwrap_or(end);
    let tail = &text[middle..end];
    let ends = ["\n\n", "\n", ". ", "! ", "? ", "。", " "];
    ends.iter().find_map(|mark| Some(middle + tail.rfind(mark)? + mark.len())).unwrap_or(end)
}

fn next_boundary(text: &str, start: usize) -> usize {
    (start + 1..text.len()).find(|&end| text.is_char_boundary(end)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_all_of_the_text_in_order() {
        let text =
            "One sentence. Another one!\n\nA paragraph with 水と火 and 🦀🦀🦀, and more words to read.\nEnd".repeat(7);
        for max in 1..200 {
            let windows = windows(&text, max);
            assert_eq!(windows.iter().map(|window| &text[window.clone()]).collect::<String>(), text);
            assert!(windows.iter().all(|window| window.len() <= max.max(4)), "{max}");
        }
    }

    #[test]
    fn window_ends_at_a_paragraph() {
        let text = "First words here.\n\nSecond words. And a third sentence";
        assert_eq!(windows(text, 30).first(), Some(&(0..19)));
        let all = 0..text.len();
        assert_eq!(windows(text, 100), [all]);
        assert!(windows("", 10).is_empty());
    }

    #[test]
    fn halves_are_not_empty() {
        let text = "🦀🦀 words and words";
        let mut open = Vec::new();
        open.push(0..text.len());
        while let Some(range) = open.pop() {
            if range.len() > 4 {
                let (first, second) = halves(text, range.clone());
                assert!(!first.is_empty() && first.end == second.start && second.end == range.end);
                assert!(first.len() < range.len());
                open.extend([first, second]);
            }
        }
    }
}
