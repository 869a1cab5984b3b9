//! Synonyms: words and phrases that words of a query stand for as well.
//!
//! One step is taken: the synonyms of a synonym are not found, so sets may overlap and form circles.

use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    analysis::stems,
    language::Language,
    query::{Conditions, MAX_WORDS, Phrase, Query},
    token::{Kind, Token, tokens},
};

/// How much a synonym counts, where the word of the query counts 1: of two passages that differ by it alone, the one in the
/// words of the query comes first, and a passage with a synonym of one word and another word stays before one with either.
pub const SYNONYM_WEIGHT: f64 = 0.8;

/// Words and phrases that stand for each other, or for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynonymSet {
    /// The words and phrases that have synonyms.
    pub from: Vec<String>,
    /// Their synonyms; `None`: each of `from` stands for all others.
    pub to: Option<Vec<String>>,
}

impl SynonymSet {
    /// The terms by which a query finds the set: those of the first word of each entry that has synonyms, stemmed in every
    /// language, because the language of a query is not known before.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let languages: Vec<Language> = Language::all().collect();
        let mut keys = FxHashSet::default();
        for entry in &self.from {
            if let Some(token) = tokens(entry).into_iter().find(|token| token.kind.has_place()) {
                keys.extend(stems(entry, &token, &languages));
                keys.insert(token.folded);
            }
        }
        let mut keys: Vec<String> = keys.into_iter().collect();
        keys.sort_unstable();
        keys
    }
}

/// The words of an entry as they are compared, apart from stems. Empty: it has none.
#[must_use]
pub fn folded_words(entry: &str) -> Vec<String> {
    tokens(entry).into_iter().map(|token| token.folded).collect()
}

/// Words of a query, and their synonyms.
#[derive(Clone, Debug, PartialEq)]
pub struct SynonymGroup {
    /// The words by their places in [`Conditions::words`].
    pub words: Vec<usize>,
    /// The synonyms.
    pub synonyms: Vec<Synonym>,
}

/// A synonym of words of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Synonym {
    /// Its words; a phrase has several places.
    pub phrase: Phrase,
    /// How much it counts: [`SYNONYM_WEIGHT`] for each time that the query has the words.
    pub weight: f64,
}

/// The words of a query that can have synonyms: without operators, in their order.
#[derive(Clone, Debug, Default)]
pub struct PlainWords {
    runs: Vec<Sequence>,
}

impl PlainWords {
    /// Of a query in these languages, the first [`MAX_WORDS`].
    #[must_use]
    pub fn of(query: &Query, languages: &[Language]) -> Self {
        let mut left = MAX_WORDS;
        let mut runs = Vec::new();
        for text in query.plain_texts() {
            let mut run = Sequence::of(text, languages);
            run.places.truncate(left);
            left -= run.places.len();
            runs.push(run);
        }
        Self { runs }
    }

    /// The terms of the words, each once. A set that has none of them among its [`SynonymSet::keys`] has no synonyms of them.
    #[must_use]
    pub fn terms(&self) -> Vec<String> {
        let terms: FxHashSet<&String> =
            self.runs.iter().flat_map(|run| &run.places).flat_map(|place| &place.terms).collect();
        terms.into_iter().cloned().collect()
    }

    /// The words with synonyms in these sets. Of entries that begin at the same word, the longest applies. A word that does not
    /// count, because it is frequent, has no synonyms. Words and synonyms together are at most [`MAX_WORDS`].
    #[must_use]
    pub fn groups(&self, conditions: &Conditions, sets: &[SynonymSet]) -> Vec<SynonymGroup> {
        let entries: Vec<Entries> = sets.iter().map(|set| Entries::of(set, &conditions.languages)).collect();
        let mut by_first: FxHashMap<&str, Vec<(usize, usize)>> = FxHashMap::default();
        for (set, entries) in entries.iter().enumerate() {
            for (place, entry) in entries.from.iter().enumerate() {
                for term in entry.places.first().into_iter().flat_map(|first| &first.terms) {
                    by_first.entry(term).or_default().push((set, place));
                }
            }
        }
        let mut groups = Groups::new(conditions);
        for run in &self.runs {
            let mut at = 0;
            while let Some(place) = run.places.get(at) {
                let found = place.terms.iter().filter_map(|term| by_first.get(term.as_str())).flatten();
                let found = found.filter(|(set, entry)| run.has(at, &entries[*set].from[*entry]));
                let mut found: Vec<(usize, usize)> =
                    found.map(|(set, entry)| (*set, entries[*set].from[*entry].places.len())).collect();
                let longest = found.iter().map(|(_, length)| *length).max().unwrap_or_default();
                found.retain(|(_, length)| *length == longest);
                found.sort_unstable();
                found.dedup();
                let others = found.iter().flat_map(|(set, _)| entries[*set].others(run, at, longest));
                groups.add(run, at..at + longest, others);
                at += longest.max(1);
            }
        }
        groups.groups
    }
}

/// Collects groups, each word in one of them.
struct Groups<'a> {
    /// The places of words by their folded form.
    words: FxHashMap<&'a str, usize>,
    groups: Vec<SynonymGroup>,
    /// The words that may be added.
    left: usize,
}

impl<'a> Groups<'a> {
    fn new(conditions: &'a Conditions) -> Self {
        let words = conditions.words.iter().enumerate();
        let words = words.filter_map(|(place, word)| Some((word.terms.first()?.as_str(), place)));
        Self { words: words.collect(), groups: Vec::new(), left: MAX_WORDS.saturating_sub(conditions.words.len()) }
    }

    /// Adds the synonyms of the words at these places of a run.
    fn add<'b>(&mut self, run: &Sequence, places: Range<usize>, synonyms: impl Iterator<Item = &'b Sequence>) {
        let words: Vec<usize> = run.folded(places).filter_map(|folded| self.words.get(folded).copied()).collect();
        let mut phrases: Vec<Phrase> = Vec::new();
        for synonym in synonyms {
            let phrase = synonym.phrase();
            if !phrases.contains(&phrase) {
                phrases.push(phrase);
            }
        }
        if words.is_empty() || phrases.is_empty() {
            return;
        }
        let known = self.groups.iter().position(|group| group.words.iter().any(|word| words.contains(word)));
        let place = known.unwrap_or_else(|| {
            self.groups.push(SynonymGroup { words: Vec::new(), synonyms: Vec::new() });
            self.groups.len() - 1
        });
        for word in words {
            if !self.groups.iter().any(|group| group.words.contains(&word)) {
                self.groups[place].words.push(word);
            }
        }
        let group = &mut self.groups[place];
        for phrase in phrases {
            if let Some(known) = group.synonyms.iter_mut().find(|known| known.phrase == phrase) {
                known.weight += SYNONYM_WEIGHT;
            } else if phrase.places.len() <= self.left {
                self.left -= phrase.places.len();
                group.synonyms.push(Synonym { phrase, weight: SYNONYM_WEIGHT });
            }
        }
    }
}

/// The entries of a set.
struct Entries {
    from: Vec<Sequence>,
    to: Option<Vec<Sequence>>,
}

impl Entries {
    fn of(set: &SynonymSet, languages: &[Language]) -> Self {
        let sequences = |entries: &Vec<String>| -> Vec<Sequence> {
            let all = entries.iter().map(|entry| Sequence::of(entry, languages));
            all.filter(|sequence| !sequence.places.is_empty()).collect()
        };
        Self { from: sequences(&set.from), to: set.to.as_ref().map(sequences) }
    }

    /// The synonyms of the words of a run at `start`: all that are not these words themselves.
    fn others<'a>(&'a self, run: &'a Sequence, start: usize, length: usize) -> impl Iterator<Item = &'a Sequence> {
        let all = self.to.as_ref().unwrap_or(&self.from);
        all.iter().filter(move |entry| entry.places.len() != length || !run.has(start, entry))
    }
}

/// A text as words that follow each other.
#[derive(Clone, Debug)]
struct Sequence {
    places: Vec<Place>,
    /// Identifiers and other forms of them.
    forms: Vec<Token>,
}

#[derive(Clone, Debug)]
struct Place {
    bytes: Range<usize>,
    /// The folded word, and its stems.
    terms: Vec<String>,
    is_single_character: bool,
}

impl Sequence {
    fn of(text: &str, languages: &[Language]) -> Self {
        let (mut places, mut forms) = (Vec::new(), Vec::new());
        for token in tokens(text) {
            if token.kind.has_place() {
                let is_single_character = token.is_single_character();
                let mut terms = vec![token.folded.clone()];
                terms.extend(stems(text, &token, languages));
                places.push(Place { bytes: token.bytes, terms, is_single_character });
            } else if token.kind == Kind::Form && !token.is_gram_form() {
                forms.push(token);
            }
        }
        Self { places, forms }
    }

    /// Whether the words of another follow each other from `start` on, in any form, and make the same identifiers.
    fn has(&self, start: usize, other: &Self) -> bool {
        let end = start + other.places.len();
        let Some(found) = self.places.get(start..end) else { return false };
        let is_same = |(own, other): (&Place, &Place)| own.terms.iter().any(|term| other.terms.contains(term));
        let has_form = |form: &Token| self.forms_of(start..end).any(|own| own.folded == form.folded);
        found.iter().zip(&other.places).all(is_same) && other.forms.iter().all(has_form)
    }

    /// The forms that begin in these places.
    fn forms_of(&self, places: Range<usize>) -> impl Iterator<Item = &Token> {
        let found = self.places.get(places).unwrap_or_default();
        let bytes = match found {
            [first, .., last] => first.bytes.start..last.bytes.end,
            [only] => only.bytes.clone(),
            [] => 0..0,
        };
        self.forms.iter().filter(move |form| bytes.contains(&form.bytes.start))
    }

    /// The words and forms at these places.
    fn folded(&self, places: Range<usize>) -> impl Iterator<Item = &str> {
        let words = self.places.get(places.clone()).unwrap_or_default().iter();
        let words = words.filter_map(|place| place.terms.first().map(String::as_str));
        words.chain(self.forms_of(places).map(|form| form.folded.as_str()))
    }

    /// As a synonym. An identifier is one term, because its words can stand in a text without it.
    fn phrase(&self) -> Phrase {
        let end = self.places.last().map_or(0, |last| last.bytes.end);
        let is_whole = |form: &&Token| {
            let is_longer = form.bytes.end > end || self.places.len() > 1;
            is_longer
                && form.bytes.end >= end
                && self.places.first().is_some_and(|first| form.bytes.start == first.bytes.start)
        };
        if let Some(identifier) = self.forms.iter().find(is_whole) {
            let places = vec![vec![identifier.folded.clone()]];
            return Phrase { places, is_prefix: false, is_stemmed: false, spellings: Vec::new() };
        }
        let is_prefix = matches!(self.places[..], [Place { is_single_character: true, .. }]);
        let places = self.places.iter().map(|place| place.terms.clone()).collect();
        Phrase { places, is_prefix, is_stemmed: true, spellings: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: [Language; 1] = [Language::English];

    fn equal(words: &[&str]) -> SynonymSet {
        SynonymSet { from: words.iter().map(|word| (*word).to_owned()).collect(), to: None }
    }

    fn one_way(from: &str, to: &str) -> SynonymSet {
        SynonymSet { from: vec![from.to_owned()], to: Some(vec![to.to_owned()]) }
    }

    /// The synonyms of each group as they are written, with their weights.
    fn expand(query: &str, sets: &[SynonymSet]) -> Vec<Vec<(String, f64)>> {
        let query = Query::parse(query);
        let conditions = query.conditions(None, &ENGLISH);
        let plain = PlainWords::of(&query, &conditions.languages);
        let terms = plain.terms();
        let found: Vec<SynonymSet> =
            sets.iter().filter(|set| set.keys().iter().any(|key| terms.contains(key))).cloned().collect();
        let groups = plain.groups(&conditions, &found);
        assert_eq!(groups, plain.groups(&conditions, sets), "the keys find all sets that apply");
        let written = |synonym: Synonym| {
            let words: Vec<_> = synonym.phrase.places.iter().map(|terms| terms[0].clone()).collect();
            (words.join(" "), synonym.weight)
        };
        groups.into_iter().map(|group| group.synonyms.into_iter().map(written).collect()).collect()
    }

    fn synonyms(query: &str, sets: &[SynonymSet]) -> Vec<Vec<String>> {
        let groups = expand(query, sets).into_iter();
        groups.map(|group| group.into_iter().map(|(synonym, _)| synonym).collect()).collect()
    }

    #[test]
    fn equal_words_find_each_other_in_any_form() {
        let sets = [equal(&["car", "automobile", "motor vehicle"])];
        assert_eq!(synonyms("red cars", &sets), [["automobile", "motor vehicle"]]);
        assert_eq!(synonyms("the Motor-Vehicles", &sets), [["car", "automobile"]]);
        assert_eq!(synonyms("motor of a vehicle", &sets), [[""; 0]; 0]);
        assert_eq!(synonyms("CÁR", &sets).len(), 1);
    }

    #[test]
    fn one_way_synonyms_do_not_lead_back() {
        let sets = [one_way("tv", "television")];
        assert_eq!(synonyms("tv", &sets), [["television"]]);
        assert_eq!(synonyms("television", &sets), [[""; 0]; 0]);
    }

    #[test]
    fn circles_take_one_step() {
        let sets = [one_way("a1x", "b1x"), one_way("b1x", "c1x"), one_way("c1x", "a1x"), equal(&["a1x", "d1x"])];
        assert_eq!(synonyms("a1x", &sets), [["b1x", "d1x"]]);
        assert_eq!(synonyms("a1x b1x", &sets), [vec!["b1x", "d1x"], vec!["c1x"]]);
    }

    #[test]
    fn operators_have_no_synonyms() {
        let sets = [equal(&["car", "automobile"])];
        for query in ["\"car\"", "\"red car\" -car", "car*", "bike -car"] {
            assert_eq!(synonyms(query, &sets), [[""; 0]; 0], "{query}");
        }
        assert_eq!(synonyms("\"red car\" car", &sets), [["automobile"]]);
    }

    #[test]
    fn longest_entry_applies() {
        let sets = [equal(&["motor vehicle", "car"]), equal(&["motor", "engine"]), equal(&["vehicle", "wagon"])];
        assert_eq!(synonyms("motor vehicle", &sets), [["car"]]);
        assert_eq!(synonyms("motor", &sets), [["engine"]]);
        assert_eq!(synonyms("old motor vehicle and vehicle", &sets), [["car", "wagon"]], "a word is in one group");
    }

    #[test]
    fn frequent_words_have_synonyms_only_inside_of_phrases() {
        let sets = [equal(&["it", "computing"]), equal(&["bill of lading", "waybill"])];
        assert_eq!(synonyms("where is it printed", &sets), [[""; 0]; 0]);
        assert_eq!(synonyms("IT", &sets), [["computing"]]);
        assert_eq!(synonyms("the bill of lading", &sets), [["waybill"]]);
    }

    #[test]
    fn repeated_words_count_as_often() {
        let sets = [equal(&["car", "automobile"]), equal(&["automobile", "car"])];
        assert_eq!(expand("car cars", &sets)[0], [("automobile".to_owned(), SYNONYM_WEIGHT)]);
        let twice = &expand("car and car", &sets)[0][0].1;
        assert!((twice - 2.0 * SYNONYM_WEIGHT).abs() < 1e-9);
    }

    #[test]
    fn identifiers_are_synonyms_as_they_are_written() {
        let sets = [equal(&["C++", "cpp"]), equal(&["AB-1234/5", "seal"])];
        assert_eq!(synonyms("cpp", &sets), [["c++"]]);
        assert_eq!(synonyms("C++", &sets), [["cpp"]]);
        assert_eq!(synonyms("vitamin C", &sets), [[""; 0]; 0]);
        assert_eq!(synonyms("seal", &sets), [["ab-1234/5"]]);
        assert_eq!(synonyms("AB 1234 5", &sets), [[""; 0]; 0]);
    }

    #[test]
    fn scripts_without_spaces_have_synonyms_inside_of_runs() {
        let sets = [equal(&["図書館", "ライブラリ"]), equal(&["水", "water"])];
        assert_eq!(synonyms("市立図書館は", &sets).len(), 1);
        assert_eq!(synonyms("水", &sets), [["water"]]);
        assert_eq!(synonyms("water", &sets), [["水"]]);
    }

    #[test]
    fn words_and_synonyms_together_are_limited() {
        let many: Vec<String> = (0..200).map(|n| format!("w{n}x")).collect();
        let more: Vec<String> = (0..100).map(|n| format!("s{n}x")).collect();
        let set = SynonymSet { from: vec!["w0x".to_owned()], to: Some(more) };
        assert_eq!(synonyms(&many.join(" "), &[set])[0].len(), MAX_WORDS - 200);
    }

    #[test]
    fn folded_words_are_those_that_are_compared() {
        assert_eq!(folded_words("Motor  Café!"), ["motor", "cafe"]);
        assert_eq!(folded_words("&!?"), [""; 0]);
    }
}
