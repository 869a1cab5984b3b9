//! Accents in comparisons of words. The terms of the index have none, so that texts decide where accents count.

use std::cell::OnceCell;

use serde::{Deserialize, Serialize};

use crate::{
    fold::{fold, lower_case},
    language::Language,
};

/// The fewest letters of a word whose stem is compared.
const MIN_STEMMED_LETTERS: usize = 3;

/// How a search compares accents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accents {
    /// Accents are folded, apart from letters that the alphabet of the language has beside those without the mark.
    #[default]
    ByLanguage,
    /// All accents are folded.
    Fold,
    /// Words have the same accents.
    Keep,
}

/// The marked letters that are no variants of others in a language: those to which its collation in CLDR gives a primary difference.
const fn own_letters(language: Language) -> &'static str {
    match language {
        Language::Danish | Language::Norwegian => "åæø",
        Language::Finnish | Language::Swedish => "åäö",
        Language::Hungarian => "öü",
        Language::Romanian => "ăâîșț",
        Language::Russian => "й",
        Language::Spanish => "ñ",
        Language::Turkish => "çğıöşü",
        _ => "",
    }
}

/// The letter of its own that a character in lower case is, or of which it is a variant.
fn own_letter(language: Language, c: char) -> Option<char> {
    let letter = match (language, c) {
        (Language::Hungarian, 'ő') => 'ö',
        (Language::Hungarian, 'ű') => 'ü',
        // As neighbours write it.
        (Language::Danish | Language::Norwegian, 'ö') => 'ø',
        (Language::Finnish | Language::Swedish, 'ø') => 'ö',
        // With a cedilla, as older texts have them.
        (Language::Romanian, 'ş') => 'ș',
        (Language::Romanian, 'ţ') => 'ț',
        (_, c) => c,
    };
    own_letters(language).contains(letter).then_some(letter)
}

/// The accents that a comparison folds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Folding {
    #[default]
    All,
    /// All but those of the letters of a language.
    Except(Language),
    Nothing,
    /// Only the dot of `i`, for words with `I`, which is the capital letter of `ı`, too.
    NothingButDots,
}

impl Folding {
    fn of(language: Language) -> Self {
        if own_letters(language).is_empty() { Self::All } else { Self::Except(language) }
    }

    /// Whether words that fold to these can have accents that are not folded.
    fn can_keep(self, folded: &str) -> bool {
        match self {
            Self::All => false,
            Self::Except(language) => fold(own_letters(language)).chars().any(|letter| folded.contains(letter)),
            Self::Nothing | Self::NothingButDots => folded.chars().any(char::is_alphabetic),
        }
    }

    /// The folding for a pair of words.
    fn for_words(self, own: &str, found: &str) -> Self {
        match self {
            Self::Nothing if own.contains('I') || found.contains('I') => Self::NothingButDots,
            folding => folding,
        }
    }

    fn lower_case(self, word: &str) -> String {
        if self == Self::All || !word.contains(['I', 'İ']) {
            return lower_case(word);
        }
        // The dot of this capital letter is no accent.
        let word = word.replace("I\u{307}", "i").replace('İ', "i");
        if self == Self::Except(Language::Turkish) { lower_case(&word.replace('I', "ı")) } else { lower_case(&word) }
    }

    /// The form of a word that is compared.
    fn form(self, word: &str) -> String {
        let language = match self {
            Self::All => return fold(word),
            // These are the capital letters' other small ones.
            Self::Nothing => return self.lower_case(word).replace('ß', "ss").replace('ς', "σ"),
            Self::NothingButDots => return Self::Nothing.form(word).replace('ı', "i"),
            Self::Except(language) => language,
        };
        let (mut form, mut others) = (String::with_capacity(word.len()), String::new());
        for c in self.lower_case(word).chars() {
            match own_letter(language, c) {
                Some(letter) => {
                    form.push_str(&fold(&others));
                    others.clear();
                    form.push(letter);
                }
                None => others.push(c),
            }
        }
        form.push_str(&fold(&others));
        form
    }
}

/// How the accents of a query and of texts are compared. The default folds all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    folding: Folding,
    /// The languages whose texts keep accents that the query can have; empty: `folding` holds for all texts.
    of_texts: Vec<Language>,
}

impl Comparison {
    /// For a query in a language; `None`: it is not known, and the texts decide. `folded` is the query without accents.
    pub(crate) fn new(accents: Accents, query: Option<Language>, indexed: &[Language], folded: &str) -> Self {
        let fixed = |folding: Folding| {
            if folding.can_keep(folded) { Self { folding, of_texts: Vec::new() } } else { Self::default() }
        };
        match (accents, query) {
            (Accents::Fold, _) => Self::default(),
            (Accents::Keep, _) => fixed(Folding::Nothing),
            (Accents::ByLanguage, Some(language)) => fixed(Folding::of(language)),
            (Accents::ByLanguage, None) => {
                let keeps = |language: &Language| Folding::of(*language).can_keep(folded);
                Self { of_texts: indexed.iter().copied().filter(keeps).collect(), ..Self::default() }
            }
        }
    }

    /// Whether all accents are folded, so that the terms of the index decide.
    #[must_use]
    pub fn is_folded(&self) -> bool {
        self.folding == Folding::All && self.of_texts.is_empty()
    }

    /// The languages whose texts keep accents; empty: the language of a text does not matter.
    #[must_use]
    pub fn languages_of_texts(&self) -> &[Language] {
        &self.of_texts
    }

    pub(crate) fn of<'a>(&'a self, text: &'a str) -> TextFolding<'a> {
        TextFolding { comparison: self, text, language: OnceCell::new() }
    }
}

/// The folding for a text. Its language is detected when a word needs it: most texts have no word with other accents.
pub(crate) struct TextFolding<'a> {
    comparison: &'a Comparison,
    text: &'a str,
    /// `None`: it is not certain.
    language: OnceCell<Option<Language>>,
}

impl TextFolding<'_> {
    fn language(&self) -> Option<Language> {
        *self.language.get_or_init(|| Language::detect(self.text).ok().flatten())
    }

    fn get(&self) -> Folding {
        let Comparison { folding, of_texts } = self.comparison;
        if of_texts.is_empty() {
            return *folding;
        }
        let language = self.language().filter(|language| of_texts.contains(language));
        language.map_or(Folding::All, Folding::of)
    }
}

/// The languages of stems: that of the text, or these. The stemmers of other languages may remove accents.
fn stemmed_in(of_text: Option<Language>, languages: &[Language]) -> &[Language] {
    let known = of_text.and_then(|own| languages.iter().position(|language| *language == own));
    known.map_or(languages, |place| &languages[place..=place])
}

/// How a query writes a word. The default has no form, and accepts all words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    written: Vec<String>,
    fit: Fit,
}

/// The words of a text that a word of a query stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fit {
    /// Its other forms.
    #[default]
    Forms,
    /// Those that begin with it.
    Prefix,
    /// Those that contain it.
    Inside,
    /// Its parts.
    Part,
}

impl Spelling {
    /// Of a word, or of the beginning of words.
    pub(crate) fn new(written: &str, is_prefix: bool) -> Self {
        let fit = if is_prefix { Fit::Prefix } else { Fit::Forms };
        Self { written: vec![written.to_owned()], fit }
    }

    /// Adds another spelling of the same word.
    pub(crate) fn add(&mut self, other: Self) {
        self.written.extend(other.written);
    }

    /// Accepts longer words that contain the word, too.
    pub fn accept_compounds(&mut self) {
        self.fit = Fit::Inside;
    }

    /// The spelling of the parts of the word.
    #[must_use]
    pub fn of_parts(&self) -> Self {
        Self { written: self.written.clone(), fit: Fit::Part }
    }

    /// Whether a word of a text, which has a term of this word, has its accents, too.
    pub(crate) fn accepts(&self, written: &str, folding: &TextFolding<'_>, languages: &[Language]) -> bool {
        let is_alike = |own: &String| own == written || own.is_ascii() && written.is_ascii();
        if self.written.is_empty() || folding.comparison.is_folded() || self.written.iter().any(is_alike) {
            return true;
        }
        let text = folding;
        // The language of the text is detected only where it makes a difference.
        let is_same_in =
            |own: &Language| self.accepts_with(written, Folding::of(*own), || stemmed_in(Some(*own), languages));
        let of_texts = &text.comparison.of_texts;
        if !of_texts.is_empty() && of_texts.iter().all(is_same_in) {
            return true;
        }
        let folding = text.get();
        folding == Folding::All || self.accepts_with(written, folding, || stemmed_in(text.language(), languages))
    }

    /// `languages` are those of stems.
    fn accepts_with<'a>(&self, found: &str, folding: Folding, languages: impl Fn() -> &'a [Language]) -> bool {
        self.written.iter().any(|own| {
            let folding = folding.for_words(own, found);
            let forms = |word: &str| forms(word, folding, languages());
            match self.fit {
                // Other forms may have other accents, as plurals have in German, if the stemmer says so.
                Fit::Forms if fold(own) == fold(found) => folding.form(own) == folding.form(found),
                Fit::Forms => {
                    let found = forms(found);
                    forms(own).iter().any(|form| found.contains(form))
                }
                Fit::Prefix => folding.form(found).starts_with(&folding.form(own)),
                Fit::Inside => {
                    let own = forms(own);
                    forms(found).iter().any(|form| own.iter().any(|own| form.contains(own)))
                }
                Fit::Part => {
                    let own = folding.form(own);
                    forms(found).iter().any(|form| own.contains(form))
                }
            }
        })
    }
}

/// A word, and its stems, with the accents that are not folded.
fn forms(written: &str, folding: Folding, languages: &[Language]) -> Vec<String> {
    let mut forms = vec![folding.form(written)];
    if written.chars().nth(MIN_STEMMED_LETTERS - 1).is_some() {
        let lower = folding.lower_case(written);
        let stems = languages.iter().filter_map(|language| language.accented_stem(&lower));
        forms.extend(stems.filter(|stem| !stem.is_empty()).map(|stem| folding.form(&stem)));
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWEDISH: &str = "Båten ligger vid kajen och väntar på att vattnet ska stiga, så att den kan lämna hamnen i morgon. \
         När vinden har mojnat går besättningen ombord, och några av männen undersöker segel, åror och den gamla motorn.";

    fn by_language(language: Language) -> Comparison {
        Comparison { folding: Folding::of(language), of_texts: Vec::new() }
    }

    fn keep() -> Comparison {
        Comparison { folding: Folding::Nothing, of_texts: Vec::new() }
    }

    fn is_same(comparison: &Comparison, own: &str, found: &str, language: Language) -> bool {
        Spelling::new(own, false).accepts(found, &comparison.of(found), &[language])
    }

    #[test]
    fn letters_of_the_alphabet_are_kept_and_other_accents_are_folded() {
        for (language, own, found, is_expected) in [
            (Language::Swedish, "hall", "häll", false),
            (Language::Swedish, "ide", "idé", true),
            (Language::Swedish, "Mälmo", "Ma\u{308}lmó", true),
            (Language::Swedish, "Tromsö", "Tromsø", true),
            (Language::Swedish, "Tromso", "Tromsø", false),
            (Language::Danish, "Malmø", "Malmo\u{308}", true),
            (Language::Norwegian, "Malmo", "Malmö", false),
            (Language::Danish, "fa", "få", false),
            (Language::Norwegian, "oy", "øy", false),
            (Language::Finnish, "saa", "sää", false),
            (Language::Spanish, "ano", "año", false),
            (Language::Spanish, "cafe", "café", true),
            (Language::Hungarian, "kor", "kör", false),
            (Language::Hungarian, "kor", "kór", true),
            (Language::Hungarian, "kör", "kőr", true),
            (Language::Turkish, "dis", "dış", false),
            (Language::Turkish, "dış", "DIŞ", true),
            (Language::Turkish, "istanbul", "İstanbul", true),
            (Language::Romanian, "fata", "față", false),
            (Language::Romanian, "față", "faţă", true),
            (Language::Russian, "елка", "ёлка", true),
            (Language::German, "schon", "schön", true),
            (Language::French, "cote", "côté", true),
            (Language::Greek, "οδος", "οδός", true),
        ] {
            assert_eq!(is_same(&by_language(language), own, found, language), is_expected, "{own} {found}");
        }
    }

    #[test]
    fn kept_accents_are_the_same_apart_from_other_forms_of_a_word() {
        for (language, own, found, is_expected) in [
            (Language::English, "resume", "résumé", false),
            (Language::English, "Résumé", "re\u{301}sume\u{301}", true),
            (Language::French, "résumés", "résumé", true),
            (Language::French, "resumes", "résumé", false),
            (Language::German, "schon", "schön", false),
            (Language::German, "Haus", "Häuser", true),
            (Language::German, "STRASSE", "Straße", true),
            (Language::English, "istanbul", "İstanbul", true),
            (Language::Turkish, "ışık", "IŞIK", true),
            (Language::Turkish, "IRMAK", "ırmak", true),
            (Language::Turkish, "ırmak", "irmak", false),
            (Language::Turkish, "dış", "DİŞ", false),
        ] {
            assert_eq!(is_same(&keep(), own, found, language), is_expected, "{own} {found}");
        }
    }

    #[test]
    fn prefixes_compounds_and_parts_have_the_accents_of_the_word() {
        let swedish = by_language(Language::Swedish);
        let accepts = |spelling: &Spelling, found: &str| spelling.accepts(found, &swedish.of(found), &[]);
        assert!(accepts(&Spelling::new("häl", true), "Hällar") && !accepts(&Spelling::new("hal", true), "hällar"));
        let mut compound = Spelling::new("våning", false);
        compound.accept_compounds();
        assert!(accepts(&compound, "källarvåningen") && !accepts(&compound, "källarvaningen"));
        let whole = Spelling::new("källarvåning", false).of_parts();
        assert!(accepts(&whole, "våning") && !accepts(&whole, "vaning"));
        let mut both = Spelling::new("hall", false);
        both.add(Spelling::new("häll", false));
        assert!(accepts(&both, "häll") && accepts(&both, "hall") && !accepts(&both, "håll"));
    }

    #[test]
    fn language_of_the_query_comes_before_those_of_texts() {
        let new = |query: Option<Language>, folded: &str| {
            Comparison::new(Accents::ByLanguage, query, &[Language::English, Language::Swedish], folded)
        };
        assert!(new(Some(Language::English), "hall").is_folded());
        assert!(!new(Some(Language::Swedish), "hall").is_folded());
        assert!(new(Some(Language::Swedish), "the 123").is_folded(), "no letter has a mark in Swedish");
        assert_eq!(new(None, "hall").languages_of_texts(), [Language::Swedish]);
        let by_text = new(None, "batar");
        let accepts = |text: &str| Spelling::new("batar", false).accepts("båtar", &by_text.of(text), &[]);
        assert!(!accepts(SWEDISH));
        assert!(accepts("The båtar of the harbour are old, and they wait for the tide to turn again in the morning."));
        assert!(accepts("båtar"), "the language of a short text is not certain");
        let text = by_text.of(SWEDISH);
        assert!(Spelling::new("batar", false).accepts("BATAR", &text, &[]));
        assert!(Spelling::new("båtar", false).accepts("Båtar", &text, &[]) && text.language.get().is_none());
        assert!(!Spelling::new("batar", false).accepts("Båtar", &text, &[]) && text.language.get().is_some());
        let of = |accents, folded: &str| Comparison::new(accents, None, &[Language::Swedish], folded);
        assert!(of(Accents::Fold, "hall").is_folded() && of(Accents::Keep, "12 34").is_folded());
    }
}
