//! Finds the words of a query in a text.

use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    accents::{Comparison, Spelling, TextFolding},
    analysis::stems,
    language::Language,
    query::{Phrase, Word},
    token::{Kind, Token, tokens},
};

/// The words of a query, with those that they stand for.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    /// Each word with its place in the query.
    words: Vec<(usize, Spelling)>,
    /// The words of a term, as places in `words`.
    terms: FxHashMap<String, Vec<usize>>,
    prefixes: Vec<(String, usize)>,
    first_letters: FxHashSet<char>,
    phrases: Vec<Phrase>,
    languages: Vec<Language>,
    accents: Comparison,
}

/// Which words of a [`Matcher`] the words of texts are, by how these are written. The texts of a search have many words in common,
/// and stems cost more than everything else that finds words.
#[derive(Clone, Debug, Default)]
pub struct KnownWords(FxHashMap<String, Vec<usize>>);

impl Matcher {
    /// Of words that are stemmed in these languages.
    #[must_use]
    pub fn new(languages: Vec<Language>) -> Self {
        Self { languages, ..Self::default() }
    }

    /// With a comparison of accents; without it, all are folded.
    #[must_use]
    pub fn with_accents(self, accents: Comparison) -> Self {
        Self { accents, ..self }
    }

    /// Adds a word of the query at this place.
    pub fn add(&mut self, place: usize, word: &Word) {
        let number = self.words.len();
        self.words.push((place, word.spelling.clone()));
        for term in &word.terms {
            self.first_letters.extend(term.chars().next());
            if word.is_prefix {
                // A term that begins with another one of the word is found by that.
                let mut prefixes = self.prefixes.iter().filter(|(_, known)| *known == number);
                if !prefixes.any(|(prefix, _)| term.starts_with(prefix.as_str())) {
                    self.prefixes.push((term.clone(), number));
                }
            } else {
                self.terms.entry(term.clone()).or_default().push(number);
            }
        }
    }

    /// Adds a phrase, which is found as a whole.
    pub fn add_phrase(&mut self, phrase: Phrase) {
        self.phrases.push(phrase);
    }

    /// The matched words of a text, in order and without overlap.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Range<usize>> {
        self.find_with(&mut KnownWords::default(), text)
    }

    /// [`Matcher::find`] in one of several texts; `known` has what this matcher has found in the others.
    #[must_use]
    pub fn find_with(&self, known: &mut KnownWords, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        if self.first_letters.is_empty() && self.phrases.is_empty() {
            return found;
        }
        let mut tokens = tokens(text);
        let folding = self.accents.of(text);
        for token in &tokens {
            if !self.may_match(token) {
                continue;
            }
            let written = &text[token.bytes.clone()];
            let accepts = |word: &usize| self.accepts(*word, written, &folding);
            // Those of other kinds have no stems.
            let is_match = if token.kind == Kind::Word {
                if !known.0.contains_key(written) {
                    known.0.insert(written.to_owned(), self.words_of(text, token));
                }
                known.0[written].iter().any(accepts)
            } else {
                self.words_of(text, token).iter().any(accepts)
            };
            if is_match {
                found.push(token.bytes.clone());
            }
        }
        if !self.phrases.is_empty() {
            tokens.retain(|token| token.kind.has_place());
            let phrases = self.phrases.iter();
            found.extend(phrases.flat_map(|phrase| phrase.find_in(text, &tokens, &self.languages, &folding)));
        }
        merge(found)
    }

    /// The places of the words that a text has with other accents only.
    #[must_use]
    pub fn with_other_accents(&self, text: &str) -> Vec<usize> {
        if self.accents.is_folded() {
            return Vec::new();
        }
        let folding = self.accents.of(text);
        let mut has: Vec<Option<bool>> = vec![None; self.words.len()];
        for token in tokens(text).iter().filter(|token| self.may_match(token)) {
            for word in self.words_of(text, token) {
                if has[word] != Some(true) {
                    has[word] = Some(self.accepts(word, &text[token.bytes.clone()], &folding));
                }
            }
        }
        let missing = self.words.iter().zip(has).filter(|(_, has)| *has == Some(false));
        missing.map(|((place, _), _)| *place).collect()
    }

    /// Whether a word can have a term of a token. A stem begins with the letter of its word: most words need not be stemmed.
    fn may_match(&self, token: &Token) -> bool {
        token.folded.chars().next().is_some_and(|first| self.first_letters.contains(&first))
    }

    /// The words that have a term of a token, as places in `words`.
    fn words_of(&self, text: &str, token: &Token) -> Vec<usize> {
        let mut words = Vec::new();
        let add = |words: &mut Vec<usize>, term: &str| {
            words.extend(self.terms.get(term).into_iter().flatten());
            let prefixes = self.prefixes.iter().filter(|(prefix, _)| term.starts_with(prefix.as_str()));
            words.extend(prefixes.map(|(_, word)| word));
        };
        add(&mut words, &token.folded);
        // One word is enough where its accents do not matter.
        if words.is_empty() || !self.accents.is_folded() {
            stems(text, token, &self.languages).iter().for_each(|stem| add(&mut words, stem));
        }
        words
    }

    fn accepts(&self, word: usize, written: &str, folding: &TextFolding<'_>) -> bool {
        self.words[word].1.accepts(written, folding, &self.languages)
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
    /// Whether a text has the words one after the other, with any accents.
    #[must_use]
    pub fn is_in(&self, text: &str, languages: &[Language]) -> bool {
        self.is_in_with(text, languages, &Comparison::default())
    }

    /// Whether a text has the words one after the other, with the accents that a comparison requires.
    #[must_use]
    pub fn is_in_with(&self, text: &str, languages: &[Language], accents: &Comparison) -> bool {
        // The postings of a single word have identifiers and other forms, too.
        let is_single = self.places.len() == 1;
        let tokens: Vec<Token> = tokens(text).into_iter().filter(|token| is_single || token.kind.has_place()).collect();
        self.find_in(text, &tokens, languages, &accents.of(text)).next().is_some()
    }

    /// The places of the phrase among the tokens of a text that have places.
    fn find_in<'a>(
        &'a self,
        text: &'a str,
        tokens: &'a [Token],
        languages: &'a [Language],
        folding: &'a TextFolding<'a>,
    ) -> impl Iterator<Item = Range<usize>> + 'a {
        tokens.windows(self.places.len()).filter_map(move |window| {
            let matches = |(place, token): (usize, &Token)| {
                self.matches(place, text, token, languages)
                    && self.accepts(place, &text[token.bytes.clone()], languages, folding)
            };
            let (first, last) = (window.first()?, window.last()?);
            window.iter().enumerate().all(matches).then_some(first.bytes.start..last.bytes.end)
        })
    }

    /// Whether a word that matches at a place of the phrase has its accents.
    fn accepts(&self, place: usize, written: &str, languages: &[Language], folding: &TextFolding<'_>) -> bool {
        let languages = if self.is_stemmed { languages } else { &[] };
        self.spellings.get(place).is_none_or(|spelling| spelling.accepts(written, folding, languages))
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
    use crate::{Accents, query::Query};

    fn matcher(query: &str, accents: Accents) -> Matcher {
        let query = Query::parse(query).with_accents(accents);
        let conditions = query.conditions(None, &[Language::English, Language::German]);
        let mut matcher = Matcher::new(conditions.languages).with_accents(conditions.accents);
        conditions.words.iter().enumerate().for_each(|(place, word)| matcher.add(place, word));
        matcher
    }

    fn marked(text: &str, query: &str) -> Vec<String> {
        let found = matcher(query, Accents::ByLanguage).find(text);
        found.into_iter().map(|range| text[range].to_owned()).collect()
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
    fn words_of_other_texts_change_no_marks() {
        for (query, accents) in [("tides häuser AB-1234 turb*", Accents::ByLanguage), ("hauser", Accents::Keep)] {
            let matcher = matcher(query, accents);
            let mut known = KnownWords::default();
            for text in
                ["The tide at AB-1234, tides.", "Die Häuser; hauser.", "tide's turbines and TIDES", "Häuser, tide"]
            {
                assert_eq!(matcher.find_with(&mut known, text), matcher.find(text), "{query}: {text}");
            }
        }
    }

    #[test]
    fn phrases_are_marked_as_a_whole() {
        let mut matcher = Matcher::new(vec![Language::English]);
        let places = vec![vec!["motor".to_owned()], vec!["vehicle".to_owned(), "vehicl".to_owned()]];
        matcher.add_phrase(Phrase { places, is_prefix: false, is_stemmed: true, spellings: Vec::new() });
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
    fn excluded_prefix_or_character_is_found_in_identifiers_and_at_the_end_of_a_word() {
        let excluded = |query: &str| Query::parse(query).conditions(None, &[]).excluded.remove(0);
        assert!(excluded("-inv-2*").is_in("the bill INV-2017", &[]) && !excluded("-inv-2*").is_in("INV 2017", &[]));
        assert!(excluded("-水").is_in("山水", &[]) && excluded("-水").is_in("水道", &[]));
        assert!(!excluded("-水").is_in("山道", &[]));
    }

    #[test]
    fn words_with_other_accents_are_neither_marked_nor_found() {
        let text = "The résumé of the côte, and the résumés of 1998.";
        let kept = matcher("resume côte 1998 tide", Accents::Keep);
        let marked: Vec<&str> = kept.find(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!((marked, kept.with_other_accents(text)), (vec!["côte", "1998"], vec![0]));
        assert_eq!(kept.with_other_accents("resume and résumé"), [0; 0], "the text has the word, too");
        let folded = matcher("resume", Accents::Fold);
        assert_eq!((folded.find(text).len(), folded.with_other_accents(text)), (2, Vec::new()));
    }

    #[test]
    fn phrases_have_the_accents_that_the_comparison_requires() {
        let holds = |query: &str, accents: Accents, text: &str| {
            let conditions = Query::parse(query).with_accents(accents).conditions(None, &[Language::French]);
            let phrases = conditions.required.iter().chain(&conditions.excluded);
            phrases.into_iter().any(|phrase| phrase.is_in_with(text, &conditions.languages, &conditions.accents))
        };
        for query in ["\"la cote\"", "-\"la cote\"", "-cote", "-cot*"] {
            assert!(holds(query, Accents::ByLanguage, "vers la côte"), "{query}");
            assert!(holds(query, Accents::Keep, "vers la cote"), "{query}");
            assert!(!holds(query, Accents::Keep, "vers la côte"), "{query}");
        }
        assert!(holds("-côte", Accents::Keep, "les côtes"));
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
