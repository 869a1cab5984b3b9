//! Finds the words of a query in a text.

use std::ops::Range;

use rustc_hash::FxHashSet;

use crate::{
    analysis::stems,
    language::Language,
    query::Phrase,
    token::{Token, tokens},
};

/// The terms of a query, with those of other words that it stands for.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    terms: FxHashSet<String>,
    prefixes: Vec<String>,
    first_letters: FxHashSet<char>,
    phrases: Vec<Phrase>,
    languages: Vec<Language>,
}

impl Matcher {
    /// Of words that are stemmed in these languages.
    #[must_use]
    pub fn new(languages: Vec<Language>) -> Self {
        Self { languages, ..Self::default() }
    }

    /// Adds a term; as a prefix, with all terms that begin with it.
    pub fn add(&mut self, term: &str, is_prefix: bool) {
        self.first_letters.extend(term.chars().next());
        if is_prefix {
            self.prefixes.push(term.to_owned());
        } else {
            self.terms.insert(term.to_owned());
        }
    }

    /// Adds a phrase, which is found as a whole.
    pub fn add_phrase(&mut self, phrase: Phrase) {
        self.phrases.push(phrase);
    }

    /// The matched words of a text, in order and without overlap.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        if self.first_letters.is_empty() && self.phrases.is_empty() {
            return found;
        }
        let mut tokens = tokens(text);
        found.extend(tokens.iter().filter(|token| self.matches(text, token)).map(|token| token.bytes.clone()));
        if !self.phrases.is_empty() {
            tokens.retain(|token| token.kind.has_place());
            found.extend(self.phrases.iter().flat_map(|phrase| phrase.find_in(text, &tokens, &self.languages)));
        }
        merge(found)
    }

    fn matches(&self, text: &str, token: &Token) -> bool {
        // A stem begins with the letter of its word: most words need not be stemmed.
        if !token.folded.chars().next().is_some_and(|first| self.first_letters.contains(&first)) {
            return false;
        }
        let has = |term: &str| {
            self.terms.contains(term) || self.prefixes.iter().any(|prefix| term.starts_with(prefix.as_str()))
        };
        has(&token.folded) || stems(text, token, &self.languages).iter().any(|stem| has(stem))
    }
}

/// Ranges in order, those that overlap or touch joined.
#[must_use]
pub fn merge(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

impl Phrase {
    /// Whether a text has the words one after the other.
    #[must_use]
    pub fn is_in(&self, text: &str, languages: &[Language]) -> bool {
        let tokens: Vec<Token> = tokens(text).into_iter().filter(|token| token.kind.has_place()).collect();
        self.find_in(text, &tokens, languages).next().is_some()
    }

    /// The places of the phrase among the tokens of a text that have places.
    fn find_in<'a>(
        &'a self,
        text: &'a str,
        tokens: &'a [Token],
        languages: &'a [Language],
    ) -> impl Iterator<Item = Range<usize>> + 'a {
        tokens.windows(self.places.len()).filter_map(move |window| {
            let matches = |(place, token): (usize, &Token)| self.matches(place, text, token, languages);
            let (first, last) = (window.first()?, window.last()?);
            window.iter().enumerate().all(matches).then_some(first.bytes.start..last.bytes.end)
        })
    }

    /// Whether a token matches at a place of the phrase.
    fn matches(&self, place: usize, text: &str, token: &Token, languages: &[Language]) -> bool {
        let terms = &self.places[place];
        let is_prefix = self.is_prefix && place + 1 == self.places.len();
        let has = |term: &String| {
            terms.contains(term) || is_prefix && terms.iter().any(|prefix| term.starts_with(prefix.as_str()))
        };
        // A stem begins with the letter of its word.
        let begins_alike = |term: &String| term.chars().next() == token.folded.chars().next();
        has(&token.folded)
            || self.is_stemmed && terms.iter().any(begins_alike) && stems(text, token, languages).iter().any(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;

    fn marked(text: &str, query: &str) -> Vec<String> {
        let conditions = Query::parse(query).conditions(None, &[Language::English, Language::German]);
        let mut matcher = Matcher::new(conditions.languages);
        for word in &conditions.words {
            word.terms.iter().for_each(|term| matcher.add(term, word.is_prefix));
        }
        matcher.find(text).into_iter().map(|range| text[range].to_owned()).collect()
    }

    #[test]
    fn matched_words_are_found_in_any_form() {
        assert_eq!(marked("The tide; tides, TIDAL.", "tides"), ["tide", "tides"]);
        assert_eq!(marked("Die Ha\u{308}user am See", "haus"), ["Ha\u{308}user"]);
        assert_eq!(marked("市立図書館は月曜日", "図書館"), ["図書館"]);
        assert_eq!(marked("Seal AB-1234/5 and 1234.", "AB-1234/5"), ["AB-1234/5", "1234"]);
        assert_eq!(marked("turbine turbot", "turb*"), ["turbine", "turbot"]);
        assert_eq!(marked("nothing", ""), [""; 0]);
    }

    #[test]
    fn phrases_are_marked_as_a_whole() {
        let mut matcher = Matcher::new(vec![Language::English]);
        let places = vec![vec!["motor".to_owned()], vec!["vehicle".to_owned(), "vehicl".to_owned()]];
        matcher.add_phrase(Phrase { places, is_prefix: false, is_stemmed: true });
        let text = "Motors. The motor vehicles, and vehicle motors.";
        let found = matcher.find(text);
        assert_eq!((found.len(), found[0].clone()), (1, 12..26));
        assert_eq!(&text[12..26], "motor vehicles");
    }

    #[test]
    fn excluded_word_is_found_in_any_form_whether_it_has_a_stem_or_not() {
        let excluded = |query: &str| Query::parse(query).conditions(None, &[Language::English]).excluded.remove(0);
        assert!(excluded("-car").is_in("two cars", &[Language::English]));
        assert!(excluded("-garage").is_in("garages", &[Language::English]));
        assert!(!excluded("-\"car\"").is_in("two cars", &[Language::English]), "quotes keep the form");
    }

    #[test]
    fn phrase_is_found_only_as_a_sequence() {
        let phrase = |query: &str| Query::parse(query).conditions(None, &[Language::English]).required.remove(0);
        assert!(phrase("\"rear extension\"").is_in("A rear, Extension.", &[]));
        assert!(!phrase("\"rear extension\"").is_in("rear and extension", &[]));
        assert!(phrase("\"図書館\"").is_in("市立図書館は", &[]));
        assert!(!phrase("\"図書館\"").is_in("図書と書館", &[]));
        assert!(phrase("\"AB-1234/5\"").is_in("seal AB-1234/5.", &[]));
    }
}
