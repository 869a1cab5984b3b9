//! The sentences of a text, by its punctuation and blank lines.

use std::ops::Range;

/// Stops that end a sentence before white space.
const STOPS: [char; 4] = ['.', '!', '?', '…'];
/// Stops that end a sentence whatever follows.
const WIDE_STOPS: [char; 3] = ['。', '！', '？'];
/// What may stand between a stop and the white space behind the sentence.
const CLOSING: [char; 6] = ['"', '\'', ')', ']', '”', '’'];

/// The ranges of the sentences within `range`, which together cover it. Abbreviations end a sentence, too.
pub(super) fn sentences(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut sentences = Vec::new();
    let mut start = range.start;
    let (mut is_stopped, mut is_line_end) = (false, false);
    for (offset, letter) in text[range.clone()].char_indices() {
        let place = range.start + offset;
        let is_blank_line = letter == '\n' && is_line_end;
        if letter.is_whitespace() && (is_stopped || is_blank_line) {
            sentences.push(start..place);
            start = place;
            is_stopped = false;
        } else if WIDE_STOPS.contains(&letter) {
            let end = place + letter.len_utf8();
            sentences.push(start..end);
            start = end;
            is_stopped = false;
        } else {
            is_stopped = STOPS.contains(&letter) || (is_stopped && CLOSING.contains(&letter));
        }
        is_line_end = letter == '\n' || (is_line_end && letter.is_whitespace());
    }
    if start < range.end {
        sentences.push(start..range.end);
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        let found = sentences(text, 0..text.len());
        let mut covered = 0;
        for range in &found {
            assert_eq!(range.start, covered);
            covered = range.end;
        }
        assert_eq!(covered, text.len());
        found.into_iter().map(|range| text[range].trim()).filter(|text| !text.is_empty()).collect()
    }

    #[test]
    fn sentences_end_at_stops_and_blank_lines() {
        assert_eq!(split("One. Two! (Three?) Four…\nFive"), ["One.", "Two!", "(Three?)", "Four…", "Five"]);
        assert_eq!(split("He said \"stop.\" Then 3.14 and a.b."), ["He said \"stop.\"", "Then 3.14 and a.b."]);
        assert_eq!(split("Heading\n\nText\r\n \r\nmore\nlines"), ["Heading", "Text", "more\nlines"]);
        assert_eq!(split("水。火！"), ["水。", "火！"]);
        assert!(split(" \n\n ").is_empty());
    }
}
