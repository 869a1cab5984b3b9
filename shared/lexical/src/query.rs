//! The syntax of queries: words, `"phrases"`, `-word`, `-"phrase"` and `prefix*`.

use rustc_hash::FxHashMap;

use crate::{
    accents::{Accents, Comparison, Spelling},
    analysis::stems,
    fold::fold,
    language::Language,
    token::{Kind, Token, is_joiner, is_unspaced, tokens},
};

/// The maximum number of different words of a query that are searched, the first ones.
pub const MAX_WORDS: usize = 256;
/// The fewest characters before the `*` of a prefix.
const MIN_PREFIX_CHARACTERS: usize = 2;

/// A query by its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    clauses: Vec<Clause>,
    accents: Accents,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Clause {
    text: String,
    form: Form,
    excluded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Words,
    Phrase,
    Prefix,
}

/// A word of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// Its terms: a chunk has the word if it has any of them.
    pub terms: Vec<String>,
    /// Whether all terms that begin with these are terms of the word.
    pub is_prefix: bool,
    /// How often the query has it.
    pub weight: f64,
    /// Whether it may be part of a longer word, as in compounds: not of an identifier or number.
    pub is_plain: bool,
    /// How the query writes it.
    pub spelling: Spelling,
}

/// Words that follow each other; each has its alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// The terms of each place.
    pub places: Vec<Vec<String>>,
    /// Whether terms that begin with those of the last place match, too.
    pub is_prefix: bool,
    /// Whether the words match in any form.
    pub is_stemmed: bool,
    /// How the query writes the word of each place. Empty: accents do not matter.
    pub spellings: Vec<Spelling>,
}

/// The conditions of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    /// The words by which chunks are scored; each chunk that is found by words has one of them.
    pub words: Vec<Word>,
    /// The identifiers of the query as they are written.
    pub identifiers: Vec<String>,
    /// Phrases that each found chunk has.
    pub required: Vec<Phrase>,
    /// Words and phrases that no found chunk has.
    pub excluded: Vec<Phrase>,
    /// The languages of the stems.
    pub languages: Vec<Language>,
    /// How accents are compared.
    pub accents: Comparison,
}

impl Query {
    /// Reads a query. Every text is one: an operator at a place where it means nothing is punctuation.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let mut clauses: Vec<Clause> = Vec::new();
        let mut rest = query;
        let mut at_start = true;
        let mut words = String::new();
        while let Some(c) = rest.chars().next() {
            let clause = if at_start { operator(rest) } else { None };
            if let Some((clause, length)) = clause {
                if !words.is_empty() {
                    clauses.push(Clause { text: std::mem::take(&mut words), form: Form::Words, excluded: false });
                }
                clauses.push(clause);
                rest = &rest[length..];
                at_start = true;
                continue;
            }
            at_start = c.is_whitespace() || matches!(c, '(' | ')' | ',' | ';');
            words.push(c);
            rest = &rest[c.len_utf8()..];
        }
        if !words.is_empty() {
            clauses.push(Clause { text: words, form: Form::Words, excluded: false });
        }
        Self { clauses, accents: Accents::default() }
    }

    /// The query with another comparison of accents than that of its language.
    #[must_use]
    pub fn with_accents(self, accents: Accents) -> Self {
        Self { accents, ..self }
    }

    /// The text whose meaning is searched: without operators and excluded words.
    #[must_use]
    pub fn text(&self) -> String {
        let included = self.clauses.iter().filter(|clause| !clause.excluded).map(|clause| clause.text.trim());
        included.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The parts without operators.
    pub(crate) fn plain_texts(&self) -> impl Iterator<Item = &str> {
        let plain = self.clauses.iter().filter(|clause| clause.form == Form::Words && !clause.excluded);
        plain.map(|clause| clause.text.as_str())
    }

    /// Whether it has no word to be found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clauses.iter().all(|clause| clause.excluded || tokens(&clause.text).is_empty())
    }

    /// The conditions in these languages: the given one, or those of the searched chunks.
    #[must_use]
    pub fn conditions(&self, given: Option<Language>, indexed: &[Language]) -> Conditions {
        let detected = Language::detect(&self.text()).ok().flatten();
        let languages = match (given, detected) {
            (Some(given), _) => vec![given],
            (None, Some(detected)) if indexed.contains(&detected) => vec![detected],
            _ => indexed.to_vec(),
        };
        let folded: String = self.clauses.iter().map(|clause| fold(&clause.text)).collect();
        let accents = Comparison::new(self.accents, given.or(detected), indexed, &folded);
        let mut conditions = Conditions { languages, accents, ..Conditions::default() };
        let mut words = Words::default();
        for clause in &self.clauses {
            let found = tokens(&clause.text);
            match (clause.form, clause.excluded) {
                (Form::Prefix, excluded) if !found.is_empty() && !clause.text.chars().any(is_unspaced) => {
                    let (prefix, spelling) = (fold(&clause.text), Spelling::new(&clause.text, true));
                    if excluded {
                        let places = vec![vec![prefix]];
                        let spellings = vec![spelling];
                        conditions.excluded.push(Phrase { places, is_prefix: true, is_stemmed: false, spellings });
                    } else {
                        let terms = vec![prefix.clone()];
                        words.add(prefix, Word { terms, is_prefix: true, weight: 1.0, is_plain: false, spelling });
                    }
                }
                (_, true) => {
                    let is_phrase = clause.form == Form::Phrase;
                    let stemmed: &[Language] = if is_phrase { &[] } else { &conditions.languages };
                    conditions.excluded.extend(phrase(&clause.text, &found, stemmed));
                }
                (form, false) => {
                    if form == Form::Phrase {
                        conditions.required.extend(phrase(&clause.text, &found, &[]));
                    }
                    for token in found {
                        words.add_token(&clause.text, token, &conditions.languages, &mut conditions.identifiers);
                    }
                }
            }
        }
        conditions.words = words.without_stop_words(&conditions.languages);
        conditions
    }
}

/// The clause that an operator begins, and its length.
fn operator(rest: &str) -> Option<(Clause, usize)> {
    let mark = rest.strip_prefix('-');
    let (excluded, after) = (mark.is_some(), mark.unwrap_or(rest));
    let before = rest.len() - after.len();
    let first = after.chars().next()?;
    let closing = match first {
        '"' => Some('"'),
        '“' => Some('”'),
        _ => None,
    };
    if let Some(closing) = closing {
        let text = &after[first.len_utf8()..];
        let length = text.find(closing)?;
        let clause = Clause { text: text[..length].to_owned(), form: Form::Phrase, excluded };
        return Some((clause, before + first.len_utf8() + length + closing.len_utf8()));
    }
    // `-5` is a number.
    if !first.is_alphanumeric() || excluded && first.is_numeric() {
        return None;
    }
    let word = &after[..after.find(char::is_whitespace).unwrap_or(after.len())];
    let bare = word.trim_end_matches([')', ',', ';', '.', '?', '!']);
    if let Some(prefix) = bare.strip_suffix('*')
        && prefix.chars().count() >= MIN_PREFIX_CHARACTERS
        && prefix.ends_with(char::is_alphanumeric)
    {
        return Some((Clause { text: prefix.to_owned(), form: Form::Prefix, excluded }, before + bare.len()));
    }
    excluded.then(|| (Clause { text: bare.to_owned(), form: Form::Words, excluded }, before + bare.len()))
}

/// The tokens of a text as a phrase; `None`: it has none.
fn phrase(text: &str, found: &[Token], languages: &[Language]) -> Option<Phrase> {
    let with_places: Vec<&Token> = found.iter().filter(|token| token.kind.has_place()).collect();
    let is_prefix = matches!(with_places[..], [token] if token.is_single_character());
    let places: Vec<_> = with_places
        .iter()
        .map(|token| {
            let mut terms = if languages.is_empty() { Vec::new() } else { stems(text, token, languages) };
            terms.push(token.folded.clone());
            terms
        })
        .collect();
    let spellings = with_places.iter().map(|token| Spelling::new(&text[token.bytes.clone()], is_prefix)).collect();
    (!places.is_empty()).then_some(Phrase { places, is_prefix, is_stemmed: !languages.is_empty(), spellings })
}

/// Different words of a query in their order.
#[derive(Default)]
struct Words {
    words: Vec<(String, Word)>,
    places: FxHashMap<String, usize>,
}

impl Words {
    fn add(&mut self, folded: String, word: Word) {
        if let Some(place) = self.places.get(&folded) {
            let known = &mut self.words[*place].1;
            known.weight += word.weight;
            known.spelling.add(word.spelling);
        } else if self.words.len() < MAX_WORDS {
            self.places.insert(folded.clone(), self.words.len());
            self.words.push((folded, word));
        }
    }

    fn add_token(&mut self, text: &str, token: Token, languages: &[Language], identifiers: &mut Vec<String>) {
        if token.is_gram_form() || token.kind == Kind::Part {
            return;
        }
        let written = &text[token.bytes.clone()];
        let has_digit = written.chars().any(char::is_numeric);
        let is_joined = token.kind == Kind::Form && written.contains(is_joiner);
        if is_joined || has_digit && written.chars().count() >= 3 {
            identifiers.push(token.folded.clone());
        }
        let mut terms = vec![token.folded.clone()];
        terms.extend(stems(text, &token, languages));
        let is_prefix = token.is_single_character();
        let (is_plain, spelling) = (token.kind == Kind::Word, Spelling::new(written, is_prefix));
        self.add(token.folded, Word { terms, is_prefix, weight: 1.0, is_plain, spelling });
    }

    /// The words without those that are frequent in their language, unless all are. The language is the one of which the query
    /// has the most of them.
    fn without_stop_words(self, languages: &[Language]) -> Vec<Word> {
        let stops = |language: &Language| -> Vec<bool> {
            self.words.iter().map(|(folded, word)| word.is_plain && language.is_stop_word(folded)).collect()
        };
        let lists = languages.iter().map(stops);
        let stops = lists.max_by_key(|list| list.iter().filter(|is_stop| **is_stop).count()).unwrap_or_default();
        let all = stops.iter().all(|is_stop| *is_stop);
        let kept = self.words.into_iter().enumerate();
        kept.filter(|(place, _)| all || stops.get(*place) != Some(&true)).map(|(_, (_, word))| word).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: [Language; 1] = [Language::English];

    fn terms(query: &str) -> Vec<String> {
        let conditions = Query::parse(query).conditions(None, &ENGLISH);
        conditions.words.into_iter().map(|word| word.terms.join("|")).collect()
    }

    #[test]
    fn words_have_their_form_and_their_stem() {
        assert_eq!(terms("Did the turbines disturb an osprey?"), ["turbines|turbin", "disturb", "osprey"]);
        assert_eq!(terms("tides TIDES tide"), ["tides|tide", "tide"]);
        assert_eq!(Query::parse("tides TIDES").conditions(None, &ENGLISH).words[0].weight, 2.0);
    }

    #[test]
    fn umlauts_are_spelled_out_apart_from_phrases() {
        let words = Query::parse("Müller Mueller").conditions(Some(Language::English), &ENGLISH).words;
        assert!(words.iter().all(|word| word.terms.contains(&"mueller".to_owned())), "{words:?}");
        let required = Query::parse("\"Müller\"").conditions(Some(Language::English), &ENGLISH).required;
        assert_eq!(required[0].places, [["muller"]]);
        let swedish = [Language::Swedish];
        let words = Query::parse("Müller").conditions(Some(Language::Swedish), &swedish).words;
        assert!(!words[0].terms.contains(&"mueller".to_owned()), "{words:?}");
    }

    #[test]
    fn stop_words_count_only_if_there_are_no_others() {
        assert_eq!(terms("to be or not to be"), ["to", "be", "or", "not"]);
        assert_eq!(terms("the who"), ["the", "who"]);
        assert_eq!(terms("the who leeds"), ["leeds|leed"]);
        // The language of the query is that with most of the frequent words.
        let both = [Language::English, Language::Swedish];
        let words = Query::parse("the men of the sea").conditions(None, &both).words;
        assert_eq!(words.iter().map(|word| word.terms[0].as_str()).collect::<Vec<_>>(), ["men", "sea"]);
    }

    #[test]
    fn operators_make_conditions() {
        let query = Query::parse("extension -garage \"rear kitchen\" -“side door” turb* -5 well-known (-cat) e - f");
        let conditions = query.conditions(None, &ENGLISH);
        let excluded: Vec<_> = conditions.excluded.iter().map(|phrase| phrase.places.len()).collect();
        assert_eq!(excluded, [1, 2, 1]);
        assert!(conditions.excluded[0].places[0].contains(&"garag".to_owned()), "the stem is excluded, too");
        assert_eq!(conditions.required[0].places, [["rear"], ["kitchen"]]);
        let words: Vec<_> = conditions.words.iter().map(|word| (word.terms[0].as_str(), word.is_prefix)).collect();
        assert!(words.contains(&("turb", true)) && words.contains(&("5", false)) && words.contains(&("well", false)));
        assert!(!words.iter().any(|(word, _)| ["garage", "side", "cat"].contains(word)));
        assert_eq!(query.text(), "extension rear kitchen turb -5 well-known ( ) e - f");
    }

    #[test]
    fn punctuation_alone_has_no_words() {
        for nothing in ["", " ", "!&|:*()'\\", "\"\"", "-", "- \"", "-garage", "* **"] {
            assert!(Query::parse(nothing).is_empty(), "{nothing}");
        }
        assert!(!Query::parse("\"open quote").is_empty());
    }

    #[test]
    fn language_is_given_or_detected_or_those_of_the_index() {
        let all = [Language::English, Language::German];
        let languages = |query: &str, given| Query::parse(query).conditions(given, &all).languages;
        assert_eq!(languages("Häuser", None), all);
        assert_eq!(languages("Häuser", Some(Language::French)), [Language::French]);
        let german = "Wann beginnt im Frühjahr die Wartung der Schleuse, wenn das Wasser niedrig ist?";
        assert_eq!(languages(german, None), [Language::German]);
    }

    #[test]
    fn identifiers_are_known_as_they_are_written() {
        let conditions = Query::parse("where is AB-1234/5 used").conditions(None, &ENGLISH);
        assert!(conditions.identifiers.contains(&"ab-1234/5".to_owned()));
        assert_eq!(Query::parse("水").conditions(None, &[]).words[0].terms, ["水"]);
        assert!(Query::parse("水").conditions(None, &[]).words[0].is_prefix);
        assert_eq!(Query::parse("図書館").conditions(None, &[]).words.len(), 2);
    }
}
