//! The terms of the chunks that are indexed together.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

pub use crate::document_number::{UNIT_CHUNKS, document, unit_of};
use crate::{
    fold::{lower_case, spelled_out},
    language::Language,
    postings::{Posting, pack},
    token::{Kind, Token, tokens},
};

/// The fewest letters of a word that has a stem of its own.
const MIN_STEMMED_LETTERS: usize = 3;
/// Begins a term that no word has: the language of a chunk.
const LANGUAGE_MARK: char = '\u{1}';
/// The terms of languages sort before it, and all others behind it.
pub const LANGUAGE_TERMS_END: &str = "\u{2}";

/// The term that the chunks of a language have beside their words.
#[must_use]
pub fn language_term(language: Language) -> String {
    format!("{LANGUAGE_MARK}{}", language.code())
}

/// The language of a [`language_term`].
#[must_use]
pub fn language_of_term(term: &str) -> Option<Language> {
    term.strip_prefix(LANGUAGE_MARK).and_then(Language::from_code)
}

/// The terms of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitTerms {
    /// Each term with its packed postings and their number.
    pub terms: Vec<(String, Vec<u8>, i32)>,
    /// The number of words of each chunk.
    pub lengths: Vec<u32>,
}

/// The terms of up to [`UNIT_CHUNKS`] chunks that are written together.
#[must_use]
pub fn index_unit(unit: i64, texts: &[&str]) -> UnitTerms {
    let surroundings = surroundings(texts);
    let mut terms: BTreeMap<String, Vec<Posting>> = BTreeMap::new();
    let mut lengths = Vec::with_capacity(texts.len());
    for (place, text) in texts.iter().enumerate() {
        let document = document(unit, place);
        let languages = Language::of_text(text, &surroundings);
        let (counts, length) = count_terms(text, &languages);
        for (term, frequency) in counts {
            terms.entry(term).or_default().push(Posting { document, frequency, length });
        }
        for language in languages {
            let posting = Posting { document, frequency: 1, length };
            terms.entry(language_term(language)).or_default().push(posting);
        }
        lengths.push(length);
    }
    let terms = terms.into_iter().map(|(term, postings)| {
        let count = i32::try_from(postings.len()).unwrap_or(i32::MAX);
        (term, pack(&postings), count)
    });
    UnitTerms { terms: terms.collect(), lengths }
}

/// The beginnings of the texts, from which the language of a short one is detected.
fn surroundings(texts: &[&str]) -> String {
    const BYTES: usize = 4_096;
    let mut joined = String::new();
    for text in texts {
        if joined.len() >= BYTES {
            break;
        }
        joined.push_str(&text[..text.floor_char_boundary(BYTES - joined.len())]);
        joined.push('\n');
    }
    joined
}

/// How often each term occurs in the text, and the number of its words.
fn count_terms(text: &str, languages: &[Language]) -> (FxHashMap<String, u32>, u32) {
    let mut counts: FxHashMap<String, u32> = FxHashMap::default();
    let mut length = 0;
    for token in tokens(text) {
        length += u32::from(token.kind.has_place());
        for stem in stems(text, &token, languages) {
            *counts.entry(stem).or_default() += 1;
        }
        *counts.entry(token.folded).or_default() += 1;
    }
    (counts, length)
}

/// The stems of a token that are not its folded form, each once, and `mueller` for `Müller`, because a name is written in both ways.
pub(crate) fn stems(text: &str, token: &Token, languages: &[Language]) -> Vec<String> {
    if token.kind != Kind::Word || token.folded.chars().nth(MIN_STEMMED_LETTERS - 1).is_none() {
        return Vec::new();
    }
    let written = lower_case(&text[token.bytes.clone()]);
    let mut stems = Vec::new();
    for language in languages {
        if let Some(stem) = language.stem(&written).filter(|stem| !stem.is_empty())
            && stem != token.folded
            && !stems.contains(&stem)
        {
            stems.push(stem);
        }
    }
    if languages.is_empty() || languages.iter().any(|language| language.spells_marks_out()) {
        stems.extend(spelled_out(&written).filter(|spelled| *spelled != token.folded));
    }
    stems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postings::unpack;

    fn postings(unit: &UnitTerms, term: &str) -> Vec<(i64, u32, u32)> {
        let found = unit.terms.iter().find(|(known, ..)| known == term);
        found.map_or_else(Vec::new, |(_, packed, _)| {
            unpack(packed).map(|posting| (posting.document, posting.frequency, posting.length)).collect()
        })
    }

    #[test]
    fn words_have_postings_of_their_form_and_their_stem() {
        let unit = index_unit(3, &["Tides turn. The tide turns.", "no such word"]);
        let first = document(3, 0);
        assert_eq!(postings(&unit, "tide"), [(first, 2, 5)], "the stem of both");
        assert_eq!(postings(&unit, "tides"), [(first, 1, 5)]);
        assert_eq!(postings(&unit, "word"), [(document(3, 1), 1, 3)]);
        assert_eq!(unit.lengths, [5, 3]);
        assert_eq!(unit_of(document(3, 4_095)), 3);
    }

    #[test]
    fn names_with_umlauts_are_found_by_their_other_spelling() {
        let english = "Mr. Müller was at the harbour when the ship came in, and the captain spoke with him.";
        assert_eq!(postings(&index_unit(1, &[english]), "mueller").len(), 1);
        let swedish = "Båten ligger vid kajen och väntar på att vattnet ska stiga, så att den kan lämna hamnen i morgon. \
                       När vinden har mojnat går besättningen ombord, och några av männen undersöker segel och åror.";
        assert_eq!(postings(&index_unit(1, &[swedish]), "vaentar").len(), 0, "Swedish has no other spelling");
    }

    #[test]
    fn chunks_have_a_term_of_their_language() {
        let german =
            "Die Wartung der Schleuse beginnt im Frühjahr, wenn der Wasserstand niedrig ist und die Schiffe warten.";
        let unit = index_unit(1, &[german]);
        assert_eq!(postings(&unit, &language_term(Language::German)).len(), 1);
        assert_eq!(language_of_term(&language_term(Language::German)), Some(Language::German));
        assert_eq!(postings(&unit, "schiff").len(), 1);
    }
}
