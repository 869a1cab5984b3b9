//! Where a text differs from its source: which ranges were replaced, so that places in the text lead to places in the source.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The replaced ranges, in order and disjoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Edits(Vec<Edit>);

/// A replaced range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Edit {
    /// The first byte in the source.
    start: u64,
    /// One past the last byte in the source.
    end: u64,
    /// The first byte of the replacement in the text.
    at: u64,
    /// The length of the replacement.
    length: u64,
}

impl Edit {
    /// One past the last byte of the replacement in the text.
    const fn text_end(&self) -> u64 {
        self.at + self.length
    }
}

impl Edits {
    /// Whether the text is the source.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The range of the source that a range of the text comes from. A range that touches a replacement takes all that it replaced.
    #[must_use]
    pub fn source(&self, range: Range<u64>) -> Range<u64> {
        let start = self.source_start(range.start);
        start..self.source_end(range.end).max(start)
    }

    /// The range of the text that a range of the source became. A range that begins or ends within a replaced one takes the whole
    /// replacement.
    #[must_use]
    pub fn text(&self, range: Range<u64>) -> Range<u64> {
        let first = self.0.partition_point(|edit| edit.end <= range.start);
        let start = match self.0.get(first) {
            Some(edit) if edit.start < range.start => edit.at,
            _ => self.moved(first, range.start),
        };
        let last = self.0.partition_point(|edit| edit.start < range.end);
        let end = match last.checked_sub(1).map(|last| self.0[last]) {
            Some(edit) if range.end < edit.end => edit.text_end(),
            _ => self.moved(last, range.end),
        };
        start..end.max(start)
    }

    /// A place in the source behind the first `edits`, in the text.
    fn moved(&self, edits: usize, place: u64) -> u64 {
        match edits.checked_sub(1).map(|last| self.0[last]) {
            Some(before) => before.text_end() + (place - before.end),
            None => place,
        }
    }

    /// Within a replacement its start, behind a removed range its end.
    fn source_start(&self, place: u64) -> u64 {
        let before = self.0.partition_point(|edit| edit.text_end() <= place);
        match self.0.get(before) {
            Some(edit) if edit.at <= place => edit.start,
            _ => self.back(before, place),
        }
    }

    /// Within a replacement its end, before a removed range its start.
    fn source_end(&self, place: u64) -> u64 {
        let before = self.0.partition_point(|edit| edit.at < place);
        match before.checked_sub(1).map(|last| self.0[last]) {
            Some(edit) if place <= edit.text_end() => edit.end,
            _ => self.back(before, place),
        }
    }

    /// A place in the text behind the first `edits`, in the source.
    fn back(&self, edits: usize, place: u64) -> u64 {
        match edits.checked_sub(1).map(|last| self.0[last]) {
            Some(before) => before.end + (place - before.text_end()),
            None => place,
        }
    }

    /// These edits and later ones of the text, each a range of the text and the length of its replacement, in order and disjoint.
    #[must_use]
    pub fn then(&self, later: &[(Range<u64>, u64)]) -> Self {
        // Ranges of the text, the source of each, and how much longer they become; those that overlap are one.
        let mut groups: Vec<Group> = Vec::with_capacity(self.0.len() + later.len());
        let own =
            self.0.iter().map(|edit| Group { text: edit.at..edit.text_end(), source: edit.start..edit.end, grown: 0 });
        let later = later.iter().map(|(range, length)| Group {
            text: range.clone(),
            source: self.source(range.clone()),
            grown: i128::from(*length) - i128::from(range.end - range.start),
        });
        let mut all: Vec<Group> = own.chain(later).collect();
        // Stable: removed ranges at one place stay in the order of the source.
        all.sort_by_key(|group| (group.text.start, group.text.end));
        for group in all {
            match groups.last_mut() {
                Some(last) if group.text.start < last.text.end => {
                    last.text.end = last.text.end.max(group.text.end);
                    last.source.start = last.source.start.min(group.source.start);
                    last.source.end = last.source.end.max(group.source.end);
                    last.grown += group.grown;
                }
                _ => groups.push(group),
            }
        }
        let mut moved: i128 = 0;
        let edits = groups.into_iter().map(|Group { text, source, grown }| {
            let at = clamp(i128::from(text.start) + moved);
            moved += grown;
            let length = clamp(i128::from(text.end - text.start) + grown);
            Edit { start: source.start, end: source.end, at, length }
        });
        Self(edits.collect())
    }
}

/// A range of a text that one or several edits change together.
struct Group {
    text: Range<u64>,
    source: Range<u64>,
    grown: i128,
}

fn clamp(length: i128) -> u64 {
    u64::try_from(length).unwrap_or_default()
}

/// Replaces ranges of a text, which are in order and disjoint.
#[must_use]
pub fn replace(text: &str, replacements: &[(Range<usize>, String)]) -> String {
    let mut edited = String::with_capacity(text.len());
    let mut done = 0;
    for (range, replacement) in replacements {
        edited.push_str(&text[done..range.start]);
        edited.push_str(replacement);
        done = range.end;
    }
    edited.push_str(&text[done..]);
    edited
}

/// Replacements as [`Edits::then`] takes them.
#[must_use]
pub fn lengths(replacements: &[(Range<usize>, String)]) -> Vec<(Range<u64>, u64)> {
    let edit = |(range, text): &(Range<usize>, String)| (range.start as u64..range.end as u64, text.len() as u64);
    replacements.iter().map(edit).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `source` with ranges replaced, and the edits.
    fn edited(source: &str, replacements: &[(Range<usize>, &str)]) -> (String, Edits) {
        let replacements: Vec<_> =
            replacements.iter().map(|(range, text)| (range.clone(), (*text).to_owned())).collect();
        (replace(source, &replacements), Edits::default().then(&lengths(&replacements)))
    }

    #[test]
    fn places_lead_to_the_source_and_back() {
        // 0123456789
        let (text, edits) = edited("ab--cd==ef", &[(2..4, "[X]"), (6..8, "")]);
        assert_eq!(text, "ab[X]cdef");
        assert_eq!(edits.source(0..2), 0..2);
        assert_eq!(edits.source(0..3), 0..4, "a part of a replacement is all of it");
        assert_eq!(edits.source(2..5), 2..4);
        assert_eq!(edits.source(5..7), 4..6, "a removed range behind it does not count");
        assert_eq!(edits.source(7..9), 8..10);
        assert_eq!(edits.source(5..9), 4..10);
        assert_eq!(edits.text(4..6), 5..7);
        assert_eq!(edits.text(3..5), 2..6);
        assert_eq!(edits.text(8..10), 7..9);
        assert_eq!(edits.text(0..10), 0..9);
    }

    #[test]
    fn later_edits_join_earlier_ones() {
        let (text, edits) = edited("ab--cd==ef", &[(2..4, "[X]"), (6..8, "")]);
        let later = [(0..1, String::new()), (4..6, "++++".to_owned())];
        assert_eq!(replace(&text, &later), "b[X++++def");
        let edits = edits.then(&lengths(&later));
        assert_eq!(edits.source(0..1), 1..2);
        assert_eq!(edits.source(1..2), 2..5, "`[X++++` comes from `--c`");
        assert_eq!(edits.source(7..8), 5..6);
        assert_eq!(edits.source(8..10), 8..10);
    }

    fn ranges(length: usize) -> impl Strategy<Value = Vec<(Range<usize>, String)>> {
        prop::collection::vec((0..=length, 0_usize..4, "[X]{0,3}"), 0..8).prop_map(move |mut edits| {
            edits.sort_by_key(|(start, ..)| *start);
            let mut done = 0;
            let mut ranges = Vec::new();
            for (start, size, text) in edits {
                let (start, end) = (start.max(done), (start.max(done) + size).min(length));
                if start < end {
                    ranges.push((start..end, text));
                    done = end;
                }
            }
            ranges
        })
    }

    proptest! {
        /// Every letter that is still there leads to its place in the source, after two rounds of edits.
        #[test]
        fn letters_that_stay_lead_to_themselves(
            (first, second, length) in (8_usize..40).prop_flat_map(|length| (ranges(length), ranges(length / 2), Just(length)))
        ) {
            let source: String = (0..length).map(|place| char::from(b'a' + (place % 20) as u8)).collect();
            let once = replace(&source, &first);
            let second: Vec<_> = second.into_iter().filter(|(range, _)| range.end <= once.len()).collect();
            let twice = replace(&once, &second);
            let edits = Edits::default().then(&lengths(&first)).then(&lengths(&second));
            for (place, letter) in twice.bytes().enumerate() {
                let found = edits.source(place as u64..place as u64 + 1);
                prop_assert!(found.end <= length as u64);
                if letter.is_ascii_lowercase() && found.end - found.start == 1 {
                    prop_assert_eq!(source.as_bytes()[found.start as usize], letter);
                }
            }
            let whole = edits.source(0..twice.len() as u64);
            prop_assert!(whole.start <= whole.end);
        }
    }
}
