//! Detecting the language of a text.

use std::borrow::Cow;

use whatlang::Lang;

/// A detected language.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Detected {
    /// Its ISO 639-1 code.
    pub(super) code: &'static str,
    /// The confidence, from 0 to 1.
    pub(super) confidence: f64,
}

/// Bytes of a sample.
const SAMPLE_BYTES: usize = 4_096;
/// Samples of a long text. Trigrams of more text change the result no more.
const SAMPLES: usize = 4;

/// The language of a text; `None`: it has no letters, or of no known script. Long texts are sampled at equal distances.
pub(super) fn detect(text: &str) -> Option<Detected> {
    let info = whatlang::detect(&sample(text))?;
    let confidence = info.confidence();
    confidence.is_finite().then(|| Detected { code: code(info.lang()), confidence: confidence.clamp(0.0, 1.0) })
}

fn sample(text: &str) -> Cow<'_, str> {
    if text.len() <= SAMPLE_BYTES * SAMPLES {
        return text.into();
    }
    let distance = (text.len() - SAMPLE_BYTES) / (SAMPLES - 1);
    let samples = (0..SAMPLES).map(|number| {
        let start = text.floor_char_boundary(number * distance);
        &text[start..text.floor_char_boundary(start + SAMPLE_BYTES)]
    });
    samples.collect::<Vec<_>>().join("\n").into()
}

/// The code by which a language of the settings is compared: of several codes of a language, the one that [`detect`] gives.
pub(super) fn canonical(language: &str) -> &str {
    match language {
        // Norwegian of any spelling is detected as Bokmål.
        "no" | "nor" | "nn" | "nno" => "nb",
        "zho" => "zh",
        "fas" => "fa",
        three if three.len() == 3 => Lang::from_code(three).map_or(three, |language| code(language)),
        two => two,
    }
}

/// The ISO 639-1 code of a language; all that are detected have one.
const fn code(language: Lang) -> &'static str {
    match language {
        Lang::Afr => "af",
        Lang::Aka => "ak",
        Lang::Amh => "am",
        Lang::Ara => "ar",
        Lang::Aze => "az",
        Lang::Bel => "be",
        Lang::Ben => "bn",
        Lang::Bul => "bg",
        Lang::Cat => "ca",
        Lang::Ces => "cs",
        Lang::Cmn => "zh",
        Lang::Cym => "cy",
        Lang::Dan => "da",
        Lang::Deu => "de",
        Lang::Ell => "el",
        Lang::Eng => "en",
        Lang::Epo => "eo",
        Lang::Est => "et",
        Lang::Fin => "fi",
        Lang::Fra => "fr",
        Lang::Guj => "gu",
        Lang::Heb => "he",
        Lang::Hin => "hi",
        Lang::Hrv => "hr",
        Lang::Hun => "hu",
        Lang::Hye => "hy",
        Lang::Ind => "id",
        Lang::Ita => "it",
        Lang::Jav => "jv",
        Lang::Jpn => "ja",
        Lang::Kan => "kn",
        Lang::Kat => "ka",
        Lang::Khm => "km",
        Lang::Kor => "ko",
        Lang::Lat => "la",
        Lang::Lav => "lv",
        Lang::Lit => "lt",
        Lang::Mal => "ml",
        Lang::Mar => "mr",
        Lang::Mkd => "mk",
        Lang::Mya => "my",
        Lang::Nep => "ne",
        Lang::Nld => "nl",
        Lang::Nob => "nb",
        Lang::Ori => "or",
        Lang::Pan => "pa",
        Lang::Pes => "fa",
        Lang::Pol => "pl",
        Lang::Por => "pt",
        Lang::Ron => "ro",
        Lang::Rus => "ru",
        Lang::Sin => "si",
        Lang::Slk => "sk",
        Lang::Slv => "sl",
        Lang::Sna => "sn",
        Lang::Spa => "es",
        Lang::Srp => "sr",
        Lang::Swe => "sv",
        Lang::Tam => "ta",
        Lang::Tel => "te",
        Lang::Tgl => "tl",
        Lang::Tha => "th",
        Lang::Tuk => "tk",
        Lang::Tur => "tr",
        Lang::Ukr => "uk",
        Lang::Urd => "ur",
        Lang::Uzb => "uz",
        Lang::Vie => "vi",
        Lang::Yid => "yi",
        Lang::Zul => "zu",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn common_languages_are_detected() {
        for (text, language) in [
            ("The turbines are cleaned every spring, when the water is calm and the days are long.", "en"),
            ("Die Turbinen werden jedes Frühjahr gereinigt, wenn das Wasser ruhig ist und die Tage lang sind.", "de"),
            ("Les turbines sont nettoyées chaque printemps, quand l'eau est calme et les jours sont longs.", "fr"),
            ("Las turbinas se limpian cada primavera, cuando el agua está en calma y los días son largos.", "es"),
            ("Турбины чистят каждую весну, когда вода спокойна и дни длинные.", "ru"),
            ("水と火は古くから人々の生活に欠かせないものでした。", "ja"),
            ("涡轮机每年春天都会清洗，那时水面平静，白天很长。", "zh"),
        ] {
            let detected = detect(text).unwrap();
            assert_eq!(detected.code, language, "{text} {detected:?}");
            assert!(detected.confidence > 0.5, "{text} {detected:?}");
        }
    }

    #[test]
    fn text_without_letters_has_no_language() {
        for text in ["", " \n", "12 345.67 %", "()[]{}", "🦀"] {
            assert_eq!(detect(text), None, "{text}");
        }
        // Odd texts give a result or none, and never a confidence out of range.
        for text in ["a", "x ", "é", "aaaa aaaa", "\u{301}\u{301}", "水", "a1b2"] {
            assert!(detect(text).is_none_or(|found| (0.0..=1.0).contains(&found.confidence)), "{text}");
        }
    }

    #[test]
    fn long_text_is_sampled_at_character_boundaries() {
        let german = "Größere Flüsse fließen über die Wälder hinaus. ".repeat(2_000);
        assert!(sample(&german).len() <= SAMPLES * (SAMPLE_BYTES + 1));
        assert_eq!(detect(&german).unwrap().code, "de");
    }

    #[test]
    fn codes_are_unique_and_three_letters_mean_the_same() {
        let codes: HashSet<&str> = Lang::all().iter().map(|language| code(*language)).collect();
        assert_eq!(codes.len(), Lang::all().len());
        for language in Lang::all() {
            assert_eq!(canonical(language.code()), code(*language));
            assert_eq!(canonical(code(*language)), code(*language));
        }
        assert_eq!((canonical("no"), canonical("zho"), canonical("xyz"), canonical("xy")), ("nb", "zh", "xyz", "xy"));
    }
}
