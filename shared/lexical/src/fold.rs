//! The forms of a word: in lower case, and folded.

use unicode_normalization::UnicodeNormalization as _;

/// In lower case and composed: compatible characters such as ligatures and full-width letters are replaced, and invisible ones
/// are left out.
pub(crate) fn lower_case(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    word.nfkc().filter(|c| !is_invisible(*c)).flat_map(char::to_lowercase).nfc().map(western_digit).collect()
}

/// [`lower_case`], without accents and with other variants of letters replaced.
pub(crate) fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    let letters = word.nfkd().filter(|c| !is_invisible(*c) && !is_accent(*c)).flat_map(char::to_lowercase);
    let mut folded = String::with_capacity(word.len());
    // Lower case of some letters has an accent again.
    for letter in letters.nfd().filter(|c| !is_accent(*c)) {
        match letter {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ħ' => folded.push('h'),
            'ı' => folded.push('i'),
            'ς' => folded.push('σ'),
            // Arabic: variants of alef, and the dotless yeh.
            'أ' | 'إ' | 'آ' | 'ٱ' => folded.push('ا'),
            'ى' => folded.push('ي'),
            // Yeh, kaf and heh as Persian and Urdu write them.
            '\u{6cc}' => folded.push('ي'),
            '\u{6a9}' => folded.push('ك'),
            '\u{6c1}' => folded.push('ه'),
            letter => folded.push(western_digit(letter)),
        }
    }
    folded.nfc().collect()
}

/// The letters `ä`, `ö`, `ü`, `å` and `ø` of a word in lower case spelled as `ae`, `oe`, `ue`, `aa` and `oe`, then folded; `None`: it has
/// none of them.
pub(crate) fn spelled_out(lower_case: &str) -> Option<String> {
    if !lower_case.contains(['ä', 'ö', 'ü', 'å', 'ø']) {
        return None;
    }
    let mut spelled = String::with_capacity(lower_case.len() + 4);
    for letter in lower_case.chars() {
        match letter {
            'ä' => spelled.push_str("ae"),
            'ö' | 'ø' => spelled.push_str("oe"),
            'ü' => spelled.push_str("ue"),
            'å' => spelled.push_str("aa"),
            letter => spelled.push(letter),
        }
    }
    Some(fold(&spelled))
}

/// The zeros of decimal digits that texts mix with Western ones: Arabic, Persian, and those of the scripts of India.
const ZEROS: [u32; 10] = [0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xbe6, 0xc66, 0xce6, 0xd66];

/// The Western digit of the same value.
fn western_digit(c: char) -> char {
    let code = u32::from(c);
    if code < ZEROS[0] {
        return c;
    }
    let value = ZEROS.iter().filter_map(|zero| code.checked_sub(*zero)).find(|value| *value < 10);
    value.and_then(|value| char::from_digit(value, 10)).unwrap_or(c)
}

/// Characters without width that may stand inside a word: soft hyphen, joiners, direction marks, and the Arabic tatweel.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{640}' | '\u{fe00}'..='\u{fe0f}')
}

/// Accents of Latin, Greek and Cyrillic letters, Hebrew points, and Arabic vowels. The vowels of other scripts are letters.
const fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{64b}'..='\u{65f}' | '\u{670}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_unicode_fold_to_the_same_word() {
        for (written, folded) in [
            ("U\u{308}berpru\u{308}fung", "uberprufung"),
            ("Überprüfung", "uberprufung"),
            ("ﬁnal", "final"),
            ("workﬂow", "workflow"),
            ("Index\u{ad}fonds", "indexfonds"),
            ("café", "cafe"),
            ("Łódź", "lodz"),
            ("Straße", "strasse"),
            ("İstanbul", "istanbul"),
            ("ＡＢＣ１", "abc1"),
            ("か\u{3099}", "が"),
            ("ﾃﾞｰﾀ", "データ"),
            ("ΟΔΟΣ", "οδοσ"),
            // As Persian and as Arabic write it.
            ("\u{6a9}\u{62a}\u{627}\u{628}\u{6cc}", "\u{643}\u{62a}\u{627}\u{628}\u{64a}"),
            ("\u{661}\u{662}\u{669}", "129"),
            ("\u{6f1}\u{6f2}\u{6f9}a", "129a"),
            ("\u{967}\u{96f}", "19"),
        ] {
            assert_eq!(fold(written), folded, "{written}");
        }
    }

    #[test]
    fn letters_with_marks_are_spelled_out() {
        let spelled = ["müller", "straßenköter", "århus", "søren", "café"].map(spelled_out);
        let expected = ["mueller", "strassenkoeter", "aarhus", "soeren"].map(|word| Some(word.to_owned()));
        assert_eq!((&spelled[..4], &spelled[4]), (&expected[..], &None));
    }

    #[test]
    fn lower_case_keeps_accents_for_the_stemmer() {
        assert_eq!(lower_case("HA\u{308}USER"), "häuser");
        assert_eq!(lower_case("Wert\u{ad}papier"), "wertpapier");
    }
}
