//! The languages whose words are stemmed, or whose name a query may give.

use std::cell::RefCell;

use rust_stemmers::{Algorithm, Stemmer};
use whatlang::Lang;

use crate::fold::fold;

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the variants are the documentation")]
pub enum Language {
    Arabic,
    Chinese,
    Danish,
    Dutch,
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Japanese,
    Korean,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Tamil,
    Thai,
    Turkish,
}

/// Each language in the order of its variant: its ISO 639-1 code, its name in the detection, and its stemmer.
const TABLE: [(Language, &str, Lang, Option<Algorithm>); 22] = [
    (Language::Arabic, "ar", Lang::Ara, Some(Algorithm::Arabic)),
    (Language::Chinese, "zh", Lang::Cmn, None),
    (Language::Danish, "da", Lang::Dan, Some(Algorithm::Danish)),
    (Language::Dutch, "nl", Lang::Nld, Some(Algorithm::Dutch)),
    (Language::English, "en", Lang::Eng, Some(Algorithm::English)),
    (Language::Finnish, "fi", Lang::Fin, Some(Algorithm::Finnish)),
    (Language::French, "fr", Lang::Fra, Some(Algorithm::French)),
    (Language::German, "de", Lang::Deu, Some(Algorithm::German)),
    (Language::Greek, "el", Lang::Ell, Some(Algorithm::Greek)),
    (Language::Hungarian, "hu", Lang::Hun, Some(Algorithm::Hungarian)),
    (Language::Italian, "it", Lang::Ita, Some(Algorithm::Italian)),
    (Language::Japanese, "ja", Lang::Jpn, None),
    (Language::Korean, "ko", Lang::Kor, None),
    (Language::Norwegian, "no", Lang::Nob, Some(Algorithm::Norwegian)),
    (Language::Portuguese, "pt", Lang::Por, Some(Algorithm::Portuguese)),
    (Language::Romanian, "ro", Lang::Ron, Some(Algorithm::Romanian)),
    (Language::Russian, "ru", Lang::Rus, Some(Algorithm::Russian)),
    (Language::Spanish, "es", Lang::Spa, Some(Algorithm::Spanish)),
    (Language::Swedish, "sv", Lang::Swe, Some(Algorithm::Swedish)),
    (Language::Tamil, "ta", Lang::Tam, Some(Algorithm::Tamil)),
    (Language::Thai, "th", Lang::Tha, None),
    (Language::Turkish, "tr", Lang::Tur, Some(Algorithm::Turkish)),
];

/// A text of fewer bytes has too few trigrams to tell its language.
const MIN_DETECTED_BYTES: usize = 60;
/// Trigrams of more text change the result no more.
const MAX_DETECTED_BYTES: usize = 4_096;

impl Language {
    /// All languages.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// Its ISO 639-1 code.
    #[must_use]
    pub fn code(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// The language with this ISO 639-1 code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == code).map(|row| row.0)
    }

    /// Whether its words are stemmed.
    #[must_use]
    pub fn has_stemmer(self) -> bool {
        TABLE[self as usize].3.is_some()
    }

    /// Whether `ue` is another spelling of `ü`, and so on: not where such letters are those of most texts, as in Finnish.
    #[must_use]
    pub const fn spells_marks_out(self) -> bool {
        !matches!(self, Self::Finnish | Self::Hungarian | Self::Swedish | Self::Turkish)
    }

    /// Whether it writes compounds as one word.
    #[must_use]
    pub const fn has_compounds(self) -> bool {
        matches!(
            self,
            Self::Danish
                | Self::Dutch
                | Self::Finnish
                | Self::German
                | Self::Hungarian
                | Self::Norwegian
                | Self::Swedish
        )
    }

    /// Whether the folded word is frequent in the language and says little about a text's subject.
    #[must_use]
    pub fn is_stop_word(self, folded: &str) -> bool {
        let code = if self == Self::Norwegian { "nb" } else { self.code() };
        let list = stop_words::lookup(code).or_else(|| stop_words::lookup(self.code())).unwrap_or_default();
        list.iter().any(|word| if word.is_ascii() { *word == folded } else { fold(word) == folded })
    }

    /// The folded stem of a word in lower case.
    #[must_use]
    pub fn stem(self, lower_case: &str) -> Option<String> {
        self.accented_stem(lower_case).map(|stem| fold(&stem))
    }

    /// The stem of a word in lower case, with the accents that the stemmer leaves.
    pub(crate) fn accented_stem(self, lower_case: &str) -> Option<String> {
        thread_local! {
            // A stemmer is a function pointer, but is made through a type without `Sync`.
            static STEMMERS: RefCell<[Option<Stemmer>; TABLE.len()]> = const { RefCell::new([const { None }; TABLE.len()]) };
        }
        let algorithm = TABLE[self as usize].3.as_ref()?;
        STEMMERS.with_borrow_mut(|stemmers| {
            let stemmer = stemmers[self as usize].get_or_insert_with(|| Stemmer::create(*algorithm));
            Some(stemmer.stem(lower_case).into_owned())
        })
    }

    /// The language of a text that is long enough, if it is certain. `Err` has a guess.
    ///
    /// # Errors
    /// If the language is not certain: the most likely one.
    pub fn detect(text: &str) -> Result<Option<Self>, Option<Self>> {
        let sample = &text[..text.floor_char_boundary(MAX_DETECTED_BYTES)];
        let Some(info) = whatlang::detect(sample) else { return Err(None) };
        let language = TABLE.iter().find(|row| row.2 == info.lang()).map(|row| row.0);
        if info.is_reliable() && sample.len() >= MIN_DETECTED_BYTES { Ok(language) } else { Err(language) }
    }

    /// The languages in which the words of a text are stemmed: that of the text, or of its surroundings; if neither is certain,
    /// the likely one and English.
    #[must_use]
    pub fn of_text(text: &str, surroundings: &str) -> Vec<Self> {
        let guess = match Self::detect(text) {
            Ok(language) => return language.into_iter().collect(),
            Err(guess) => guess,
        };
        if let Ok(language) = Self::detect(surroundings) {
            return language.into_iter().collect();
        }
        let mut languages: Vec<_> = guess.into_iter().chain([Self::English]).collect();
        languages.dedup();
        languages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_the_order_of_the_variants() {
        for (number, language) in Language::all().enumerate() {
            assert_eq!(language as usize, number);
            assert_eq!(Language::from_code(language.code()), Some(language));
        }
    }

    #[test]
    fn words_of_each_language_lose_their_endings() {
        for (code, word, other) in [
            ("en", "running", "runs"),
            ("de", "häuser", "haus"),
            ("fr", "maisons", "maison"),
            ("es", "turbinas", "turbina"),
            ("it", "navi", "nave"),
            ("ru", "турбины", "турбина"),
            ("nl", "sluizen", "sluize"),
            ("sv", "båtarna", "båtar"),
            ("pt", "turbinas", "turbina"),
        ] {
            let language = Language::from_code(code).unwrap();
            assert_eq!(language.stem(word), language.stem(other), "{code}");
        }
        assert_eq!(Language::Japanese.stem("水"), None);
    }

    #[test]
    fn stop_words_are_those_of_the_language() {
        assert!(Language::English.is_stop_word("the") && !Language::English.is_stop_word("turbine"));
        assert!(Language::German.is_stop_word("fur") && !Language::English.is_stop_word("fur"));
        assert!(Language::Norwegian.is_stop_word("ikke") && !Language::Chinese.is_stop_word("水"));
    }

    #[test]
    fn language_is_detected_in_long_texts_and_guessed_in_short_ones() {
        let german =
            "Die Wartung der Schleuse beginnt im Frühjahr, wenn der Wasserstand niedrig ist und die Schiffe warten.";
        assert_eq!(Language::detect(german), Ok(Some(Language::German)));
        assert_eq!(Language::of_text("Häuser", german), [Language::German]);
        assert!(Language::of_text("Tide", "Tide").contains(&Language::English));
        assert_eq!(Language::detect("12 34"), Err(None));
    }
}
