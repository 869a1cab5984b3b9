//! Keywords of a text without a model, by YAKE (crate `yake-rust`): features of the text itself and stop words of its language.

use yake_rust::{Config, StopWords, get_n_best};

use super::language_detection::detect;

/// Bytes of a long text that are read: its subject is clear by then.
const MAX_TEXT_BYTES: usize = 256 * 1024;
/// Digits of scores that count: the order of summation changes the others.
const SCORE_PRECISION: f64 = 1e9;
/// The language whose stop words are used for languages without a list.
const DEFAULT_LANGUAGE: &str = "en";

/// The best keywords, in lower case; `language` is an ISO 639-1 code, and detected where there is none.
pub(super) fn keywords(text: &str, language: Option<&str>, count: usize, max_words: usize) -> Vec<String> {
    let text = &text[..text.floor_char_boundary(MAX_TEXT_BYTES)];
    if !text.contains(char::is_alphabetic) {
        return Vec::new();
    }
    let detected = || detect(text).map(|detected| detected.code);
    let stop_words = language
        .or_else(detected)
        .and_then(stop_words)
        .or_else(|| StopWords::predefined(DEFAULT_LANGUAGE))
        .unwrap_or_else(|| StopWords::custom(std::collections::HashSet::new()));
    let config = Config { ngrams: max_words, remove_duplicates: false, ..Config::default() };
    let mut found: Vec<(i64, String)> = get_n_best(usize::MAX, text, &stop_words, &config)
        .into_iter()
        .filter(|found| found.score.is_finite())
        .map(|found| ((found.score * SCORE_PRECISION) as i64, found.keyword))
        .collect();
    found.sort();
    let mut keywords: Vec<String> = Vec::with_capacity(count);
    for (_, keyword) in found {
        // A part of a better keyword, or one with a better keyword as its part, says the same.
        let same = |better: &String| is_part(better, &keyword) || is_part(&keyword, better);
        if !keywords.iter().any(same) {
            keywords.push(keyword);
            if keywords.len() == count {
                break;
            }
        }
    }
    keywords
}

/// Norwegian has one list for both of its forms.
fn stop_words(language: &str) -> Option<StopWords> {
    StopWords::predefined(match language {
        "nb" | "nn" => "no",
        language => language,
    })
}

/// Whether all words of `part` follow one another in `whole`.
fn is_part(part: &str, whole: &str) -> bool {
    let (part, whole): (Vec<&str>, Vec<&str>) = (part.split(' ').collect(), whole.split(' ').collect());
    whole.windows(part.len()).any(|words| words == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = "Tidal turbines turn the energy of the tide into electricity. Tidal turbines stand on the sea floor, where \
                           the current is strong. Divers clean the blades of tidal turbines at slack water, because biofouling on \
                           the blades costs electricity.";
    const GERMAN: &str = "Das Gezeitenkraftwerk nutzt die Kraft der Flut. Wenn die Flut kommt, dreht das Gezeitenkraftwerk seine \
                          Turbinen, und die Turbinen liefern Strom. Bei Niedrigwasser werden die Turbinen gereinigt.";

    #[test]
    fn keywords_are_the_subjects_of_a_text() {
        let found = keywords(ENGLISH, None, 5, 3);
        assert_eq!(found.len(), 5, "{found:?}");
        assert!(found.iter().any(|keyword| keyword.contains("tidal turbines")), "{found:?}");
        let found = keywords(GERMAN, None, 5, 1);
        assert!(found.contains(&"turbinen".to_owned()) && found.contains(&"gezeitenkraftwerk".to_owned()), "{found:?}");
        assert!(!found.iter().any(|keyword| ["die", "das", "und"].contains(&keyword.as_str())), "{found:?}");
    }

    #[test]
    fn result_is_always_the_same() {
        let first = keywords(ENGLISH, Some("en"), 20, 3);
        assert!((0..20).all(|_| keywords(ENGLISH, Some("en"), 20, 3) == first), "{first:?}");
    }

    #[test]
    fn odd_texts_give_no_keyword_and_no_panic() {
        for text in
            ["", " ", "12 345", "🦀🦀", "a", "one", ". . .", "the the the", "\0", "水火土", "a-b-c_d", "ONE TWO\n\n\n"]
        {
            for max_words in [1, 3, 5] {
                let found = keywords(text, None, 10, max_words);
                assert!(found.len() <= 10, "{text}: {found:?}");
            }
        }
        let long = format!("{ENGLISH} {GERMAN} ").repeat(2_000);
        assert!(!keywords(&long, None, 10, 3).is_empty());
    }
}
