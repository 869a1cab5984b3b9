//! The forms of a word: in lower case, and folded.

use unicode_normalization::UnicodeNormalization as _;

/// In lower case and composed: compatible characters such as ligatures and full-width letters are replaced, and invisible ones
/// are left out.
pub(crate) fn lower_case(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    word.nfkc().filter(|c| !is_invisible(*c)).flat_map(char::to_lowercase).nfc().collect()
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
            letter => folded.push(letter),
        }
    }
    folded.nfc().collect()
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
        ] {
            assert_eq!(fold(written), folded, "{written}");
        }
    }

    #[test]
    fn lower_case_keeps_accents_for_the_stemmer() {
        assert_eq!(lower_case("HA\u{308}USER"), "häuser");
        assert_eq!(lower_case("Wert\u{ad}papier"), "wertpapier");
    }
}
