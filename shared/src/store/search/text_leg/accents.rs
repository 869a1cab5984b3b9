//! Accents, which terms do not have: the texts of candidates tell which of the words they have as the query writes them.

use nvisy_lexical::documents::Documents;

use super::{Found, Scope, found::Scored};

/// Corrects the scores of chunks that have words with other accents than the query.
pub(in crate::store) struct AccentCheck<'a> {
    scope: &'a Scope,
    found: &'a Found,
    /// The chunks in languages that keep accents; `None`: the language does not matter.
    accented: Option<&'a Documents>,
}

impl Found {
    /// The correction of scores; `None`: all accents are folded.
    pub(in crate::store) fn accent_check<'a>(&'a self, scope: &'a Scope) -> Option<AccentCheck<'a>> {
        let accents = &scope.conditions.accents;
        if accents.is_folded() {
            return None;
        }
        let by_text = !accents.languages_of_texts().is_empty();
        Some(AccentCheck { scope, found: self, accented: by_text.then_some(&self.accented) })
    }
}

impl AccentCheck<'_> {
    /// Whether the text of a chunk can change its score.
    pub(in crate::store) fn needs_text(&self, document: i64) -> bool {
        self.accented.is_none_or(|accented| accented.contains(document))
    }

    /// The score of a chunk with this text, of which the highest possible one is known. Rarity and frequency of words are those
    /// without accents.
    pub(in crate::store) fn score_of(&self, (document, highest): (i64, f64), text: &str) -> f64 {
        let missing = self.found.matcher.with_other_accents(text);
        if missing.is_empty() {
            return self.found.score_of(self.scope, (document, highest), text);
        }
        let totals = &self.scope.totals;
        match &self.found.scored {
            Scored::Best(words) => {
                let words = words.iter().filter(|word| !missing.contains(&word.place));
                let scores =
                    words.filter_map(|word| Some(totals.score(word.impact, &word.documents.posting(document)?)));
                scores.sum()
            }
            Scored::All(_) => {
                let languages = &self.scope.conditions.languages;
                let has_phrase = |phrase: usize| self.found.phrases[phrase].is_in(text, languages);
                let parts = self.found.parts.iter().map(|(places, part)| {
                    part.score(document, totals, |own| !missing.contains(&places[own]), has_phrase)
                });
                parts.sum()
            }
        }
    }
}
