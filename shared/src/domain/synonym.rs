//! Sets of synonyms: their limits.

use std::collections::HashSet;

pub use nvisy_lexical::synonyms::SynonymSet;
use nvisy_lexical::synonyms::folded_words;

/// Sets of a workspace.
pub const MAX_SETS: usize = 1_000;
/// Entries of a list of a set.
pub const MAX_ENTRIES: usize = 20;
/// Words of an entry.
pub const MAX_WORDS: usize = 5;
/// Characters of an entry.
pub const MAX_CHARS: usize = 100;

/// The entries of a list that cannot be stored, by their places, with the reasons. Entries that are compared as the same words
/// are the same.
#[must_use]
pub fn invalid_entries(entries: &[String]) -> Vec<(usize, String)> {
    let mut known = HashSet::new();
    let reason = |entry: &String| reason(entry).or_else(|| repeated(known.insert(folded_words(entry))));
    entries.iter().map(reason).enumerate().filter_map(|(place, reason)| Some((place, reason?))).collect()
}

fn repeated(is_new: bool) -> Option<String> {
    (!is_new).then(|| "must not repeat another entry of the set".to_owned())
}

/// Why an entry cannot be stored.
fn reason(entry: &str) -> Option<String> {
    if entry.chars().count() > MAX_CHARS {
        return Some(format!("must have at most {MAX_CHARS} characters"));
    }
    if entry.chars().any(char::is_control) {
        return Some("control characters are not allowed".to_owned());
    }
    match entry.split_whitespace().filter(|part| !folded_words(part).is_empty()).count() {
        0 => Some("must have a word".to_owned()),
        1..=MAX_WORDS => None,
        _ => Some(format!("must have at most {MAX_WORDS} words")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(entries: &[&str]) -> Vec<usize> {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        invalid_entries(&entries).into_iter().map(|(place, _)| place).collect()
    }

    #[test]
    fn entries_have_one_to_five_words() {
        assert_eq!(places(&["car", "motor vehicle", "rock & roll", "one two three four five", "図書館"]), [0; 0]);
        assert_eq!(places(&["", " ", "?!", "one two three four five six", "a\tb", "car"]), [0, 1, 2, 3, 4]);
        assert_eq!(places(&[&"x".repeat(100), &"x".repeat(101)]), [1]);
    }

    #[test]
    fn entries_of_the_same_words_are_the_same() {
        assert_eq!(places(&["Motor vehicle", "car", "motor-vehicle", "CÁR"]), [2, 3]);
        assert_eq!(places(&["c", "C++", "cars", "car"]), [0; 0]);
    }
}
