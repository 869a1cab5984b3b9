//! Splits a text into tokens.
//!
//! A **word** is a sequence of letters and digits. Words that one character joins, such as `AB-1234/5`, are an identifier: the
//! index has it as it is written and in parts. Scripts that do not separate words have **grams**: each two neighbouring
//! characters.

mod parts;

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;

use self::parts::{capitalised_parts, parts_with_digits, unit, without_thousands};
use crate::fold::{fold, is_invisible};

/// A longer term is cut: an index cannot have terms of any length.
const MAX_TERM_BYTES: usize = 64;

/// A part of a text that can be searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its bytes in the text.
    pub(crate) bytes: Range<usize>,
    /// Its folded form.
    pub(crate) folded: String,
    /// The kind of token.
    pub(crate) kind: Kind,
}

impl Token {
    /// Whether it is the last character of a script without spaces, which the index has for queries of one character.
    pub(crate) fn is_gram_form(&self) -> bool {
        self.kind == Kind::Form && self.folded.chars().all(is_unspaced)
    }

    /// Whether it is a gram of a single character, which begins the grams of the index.
    pub(crate) fn is_single_character(&self) -> bool {
        self.kind == Kind::Gram && self.folded.chars().nth(1).is_none()
    }
}

/// The kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters only, which may have a stem.
    Word,
    /// A word with digits, or a number.
    Number,
    /// Two characters of a script without spaces.
    Gram,
    /// Another form of tokens that the text has as well: an identifier of several words, a part of a word with digits.
    Form,
    /// A part of a word that begins with a capital letter. Queries do not have it: a name such as `YouTube` means the whole.
    Part,
}

impl Kind {
    /// Whether it has a place in the text, and so counts for its length. Forms have the places of other tokens.
    pub(crate) const fn has_place(self) -> bool {
        !matches!(self, Self::Form | Self::Part)
    }
}

/// The tokens of a text, in the order of their first bytes; forms follow the tokens of which they are forms.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut splitter = Splitter { text, found: Vec::with_capacity(text.len() / 6) };
    splitter.split();
    splitter.found
}

/// Whether the character belongs to a script that does not separate words by spaces, or, in Korean, adds particles to words.
pub(crate) const fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30fa}' | '\u{30fc}'..='\u{312f}' | '\u{3130}'..='\u{318f}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

fn is_letter(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() || is_combining_mark(c) }
}

/// Characters that join the words of an identifier.
pub(crate) const fn is_joiner(c: char) -> bool {
    matches!(
        c,
        '-' | '/' | '.' | '_' | ':' | '@' | '#' | '+' | '&' | '\'' | '\\' | ',' | '=' | '’' | '‐' | '‑' | '–' | '·'
    )
}

struct Splitter<'a> {
    text: &'a str,
    found: Vec<Token>,
}

impl Splitter<'_> {
    fn split(&mut self) {
        let mut position = 0;
        while let Some(c) = self.text[position..].chars().next() {
            if is_unspaced(c) && (is_letter(c) || c == '々') {
                let end = self.end_of(position, |c| is_unspaced(c) || is_invisible(c) || is_combining_mark(c));
                self.grams(position..end);
                position = end;
            } else if is_letter(c) {
                position = self.joined_words(position);
            } else {
                position += c.len_utf8();
            }
        }
    }

    /// The end of the characters from `start` on that belong together.
    fn end_of(&self, start: usize, belongs: impl Fn(char) -> bool) -> usize {
        self.text[start..].find(|c| !belongs(c)).map_or(self.text.len(), |length| start + length)
    }

    fn end_of_word(&self, start: usize) -> usize {
        self.end_of(start, |c| is_letter(c) && !is_unspaced(c) || is_invisible(c))
    }

    fn add(&mut self, bytes: Range<usize>, kind: Kind) {
        let folded = cut(fold(&self.text[bytes.clone()]));
        self.add_folded(bytes, folded, kind);
    }

    fn add_folded(&mut self, bytes: Range<usize>, folded: String, kind: Kind) {
        if !folded.is_empty() {
            self.found.push(Token { bytes, folded, kind });
        }
    }

    /// The pairs of neighbours, and the last character alone: a query of one character finds it by this term, and all others
    /// by those that begin with it.
    fn grams(&mut self, bytes: Range<usize>) {
        let start = bytes.start;
        let characters: Vec<(usize, char)> =
            self.text[bytes.clone()].char_indices().map(|(at, c)| (start + at, c)).collect();
        // Characters that combine belong to the one before them.
        let mut starts: Vec<usize> = Vec::with_capacity(characters.len());
        for (at, c) in &characters {
            if starts.is_empty() || !(is_invisible(*c) || matches!(c, '\u{3099}' | '\u{309a}' | 'ﾞ' | 'ﾟ')) {
                starts.push(*at);
            }
        }
        starts.push(bytes.end);
        for pair in starts.windows(3) {
            self.add(pair[0]..pair[2], Kind::Gram);
        }
        let last = starts[starts.len() - 2]..bytes.end;
        self.add(last, if starts.len() == 2 { Kind::Gram } else { Kind::Form });
    }

    /// The words from `start` on that single joiners connect; returns the position after them.
    fn joined_words(&mut self, start: usize) -> usize {
        let mut words = Vec::with_capacity(4);
        words.push(start..self.end_of_word(start));
        let mut joiners = Vec::new();
        loop {
            let end = words[words.len() - 1].end;
            let mut rest = self.text[end..].chars();
            let Some(joiner) = rest.next().filter(|c| is_joiner(*c)) else { break };
            let next = end + joiner.len_utf8();
            if !rest.next().is_some_and(|c| is_letter(c) && !is_unspaced(c)) {
                break;
            }
            words.push(next..self.end_of_word(next));
            joiners.push(joiner);
        }
        let end = words[words.len() - 1].end;
        if joiners.is_empty() {
            self.single_word(words[0].clone());
        } else if self.is_number(&words, &joiners) {
            self.number(&words);
        } else {
            self.identifier(&words, &joiners);
        }
        self.programming_language(words[words.len() - 1].clone());
        end
    }

    fn has_digit(&self, bytes: &Range<usize>) -> bool {
        self.text[bytes.clone()].chars().any(|c| c.is_ascii_digit() || !c.is_ascii() && c.is_numeric())
    }

    fn is_digits(&self, bytes: &Range<usize>) -> bool {
        self.text[bytes.clone()].chars().all(char::is_numeric)
    }

    /// A word, and its parts: of one with digits, and of one such as `getUserName`.
    fn single_word(&mut self, bytes: Range<usize>) {
        if !self.has_digit(&bytes) {
            self.add(bytes.clone(), Kind::Word);
            for part in capitalised_parts(&self.text[bytes.clone()]) {
                self.add(bytes.start + part.start..bytes.start + part.end, Kind::Part);
            }
            return;
        }
        self.add(bytes.clone(), Kind::Number);
        for part in parts_with_digits(&self.text[bytes.clone()]) {
            self.add(bytes.start + part.start..bytes.start + part.end, Kind::Form);
        }
    }

    /// Whether digits are joined as in decimals, dates and versions (`1,234.56`, `v2.10.3`).
    fn is_number(&self, words: &[Range<usize>], joiners: &[char]) -> bool {
        joiners.iter().all(|joiner| matches!(joiner, '.' | ','))
            && words[1..].iter().all(|word| self.is_digits(word))
            && (self.is_digits(&words[0]) || self.is_version(&words[0]))
    }

    fn is_version(&self, word: &Range<usize>) -> bool {
        self.text[word.clone()].strip_prefix(['v', 'V']).is_some_and(|digits| digits.chars().all(char::is_numeric))
    }

    /// A number as it is written, without the separators of thousands, without the `v` of a version. Its long parts, such as the
    /// year of a date, are forms.
    fn number(&mut self, words: &[Range<usize>]) {
        let bytes = words[0].start..words[words.len() - 1].end;
        self.add(bytes.clone(), Kind::Number);
        let written = fold(&self.text[bytes.clone()]);
        if self.is_version(&words[0]) {
            self.add_folded(bytes.clone(), cut(written[1..].to_owned()), Kind::Form);
        }
        let plain = without_thousands(&written, ',', '.').or_else(|| {
            // `1.234` alone is a decimal, or a part of a version.
            let plain = without_thousands(&written, '.', ',')?;
            (written.contains(',') || written.matches('.').count() > 1).then_some(plain)
        });
        if let Some(plain) = plain {
            self.add_folded(bytes, cut(plain), Kind::Form);
        }
        for word in words.iter().filter(|word| word.len() >= 4) {
            self.add(word.clone(), Kind::Form);
        }
    }

    /// The words, and the identifiers that they form: whole, and between the stronger joiners. Of a decimal with a unit, such as
    /// `2.5mm`, the number is one of them.
    fn identifier(&mut self, words: &[Range<usize>], joiners: &[char]) {
        for word in words {
            self.single_word(word.clone());
        }
        let all = 0..words.len();
        let mut forms = between(joiners, |joiner| !matches!(joiner, '-' | '_' | '‐' | '‑' | '–'));
        // The names in a path or an address, such as `app.conf`.
        forms.extend(between(joiners, |joiner| matches!(joiner, '/' | '\\' | ':' | '@' | '=' | '&' | '#')));
        forms.retain(|form| form.len() > 1 && *form != all);
        forms.sort_unstable_by_key(|form| (form.start, form.end));
        forms.dedup();
        forms.push(all);
        for form in forms {
            let joined = &joiners[form.start..form.end - 1];
            let is_plain = |joiner: &char| matches!(joiner, '\'' | '’' | '-' | '‐' | '‑' | '–' | '·');
            let is_identifier =
                !joined.iter().all(is_plain) || words[form.clone()].iter().any(|word| self.has_digit(word));
            let bytes = words[form.start].start..words[form.end - 1].end;
            if is_identifier && bytes.len() <= MAX_TERM_BYTES {
                self.add(bytes, Kind::Form);
            }
        }
        let last = &words[words.len() - 1];
        if let Some(unit) = unit(&self.text[last.clone()]) {
            let mut number = words.to_vec();
            number[words.len() - 1].end = last.start + unit;
            if self.is_number(&number, joiners) {
                self.add(words[0].start..last.start + unit, Kind::Form);
            }
        }
    }

    /// `C++`, `C#`: a short word and the signs after it.
    fn programming_language(&mut self, word: Range<usize>) {
        let signs = self.text[word.end..].chars().take_while(|c| matches!(c, '+' | '#')).count();
        let ends = |c: char| c.is_whitespace() || c.is_ascii_punctuation();
        if (1..=2).contains(&signs) && word.len() <= 2 && self.text[word.end + signs..].chars().next().is_none_or(ends)
        {
            self.add(word.start..word.end + signs, Kind::Form);
        }
    }
}

/// The words between the joiners that separate, as places.
fn between(joiners: &[char], separates: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut first = 0;
    for (at, joiner) in joiners.iter().enumerate() {
        if separates(*joiner) {
            found.push(first..at + 1);
            first = at + 1;
        }
    }
    found.push(first..joiners.len() + 1);
    found
}

/// The term, cut to the bytes that a term may have.
fn cut(mut folded: String) -> String {
    folded.truncate(folded.floor_char_boundary(MAX_TERM_BYTES));
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|token| token.folded).collect()
    }

    fn places(text: &str) -> Vec<String> {
        tokens(text).into_iter().filter(|token| token.kind.has_place()).map(|token| token.folded).collect()
    }

    #[test]
    fn identifiers_are_found_as_written_and_in_parts() {
        assert_eq!(folded("AB-1234/5"), ["ab", "1234", "5", "ab-1234", "ab-1234/5"]);
        assert_eq!(folded("NOR.0707-60"), ["nor", "0707", "60", "0707-60", "nor.0707-60"]);
        assert_eq!(folded("foo_bar.baz"), ["foo", "bar", "baz", "foo_bar", "foo_bar.baz"]);
        assert_eq!(folded("node.js, C++ and C#."), ["node", "js", "node.js", "c", "c++", "and", "c", "c#"]);
        assert_eq!(folded("AB1234 M8"), ["ab1234", "ab", "1234", "m8"]);
        assert_eq!(folded("low-speed it's"), ["low", "speed", "it", "s"]);
        assert_eq!(folded("/etc/app.conf"), ["etc", "app", "conf", "app.conf", "etc/app.conf"]);
        assert!(folded("ada@example.org").contains(&"example.org".to_owned()));
        assert!(folded("https://example.org/a/b?x=1").contains(&"example.org/a/b".to_owned()));
        assert!(folded(r"C:\temp\new.txt").contains(&"new".to_owned()));
    }

    #[test]
    fn words_with_capital_letters_inside_have_parts() {
        let parts = |text: &str| -> Vec<String> {
            tokens(text).into_iter().filter(|token| token.kind == Kind::Part).map(|token| token.folded).collect()
        };
        assert_eq!(folded("getUserName"), ["getusername", "get", "user", "name"]);
        assert_eq!(parts("HTTPServer PDFs eBay"), ["http", "server", "bay"]);
        assert_eq!(parts("Überprüfung USA NATO Server"), [""; 0]);
        assert_eq!(parts("u\u{308}berPru\u{308}fung"), ["uber", "prufung"]);
        assert_eq!(places("getUserName"), ["getusername"]);
    }

    #[test]
    fn sizes_and_units_are_found_apart() {
        assert_eq!(folded("10kg 220V"), ["10kg", "10", "kg", "220v", "220"]);
        assert_eq!(folded("M8x40 1920X1080"), ["m8x40", "m8", "40", "1920x1080", "1920", "1080"]);
        assert_eq!(folded("2.5mm"), ["2", "5mm", "5", "mm", "2.5mm", "2.5"]);
        assert_eq!(folded("3f2a9c 0x1F"), ["3f2a9c", "0x1f"]);
    }

    #[test]
    fn numbers_and_versions_stay_whole() {
        assert_eq!(folded("v2.10.3"), ["v2.10.3", "2.10.3"]);
        assert_eq!(folded("1,234.56"), ["1,234.56", "1234.56"]);
        assert_eq!(folded("1.234,56"), ["1.234,56", "1234,56"]);
        assert_eq!(folded("1.234.567"), ["1.234.567", "1234567"]);
        assert_eq!(folded("3.14 1.234"), ["3.14", "1.234"]);
        assert_eq!(folded("12.05.1873"), ["12.05.1873", "1873"]);
        assert_eq!(places("v2.10.3 1,234.56 3.14").len(), 3);
    }

    #[test]
    fn scripts_without_spaces_have_grams() {
        assert_eq!(folded("水道料金。図"), ["水道", "道料", "料金", "金", "図"]);
        assert_eq!(places("水道料金"), ["水道", "道料", "料金"]);
        assert_eq!(folded("ﾃﾞｰﾀ"), ["デー", "ータ", "タ"]);
        assert_eq!(folded("A水B"), ["a", "水", "b"]);
        assert_eq!(places("ภาษา"), ["ภา", "าษ", "ษา"]);
    }

    #[test]
    fn bytes_are_those_of_the_text() {
        let text = "Die U\u{308}berpru\u{308}fung, Wert\u{ad}papier 水道!";
        let written: Vec<_> = tokens(text).iter().map(|token| &text[token.bytes.clone()]).collect();
        assert_eq!(written, ["Die", "U\u{308}berpru\u{308}fung", "Wert\u{ad}papier", "水道", "道"]);
    }

    #[test]
    fn no_term_is_longer_than_the_index_accepts() {
        let long = format!("{} {}-1", "ü".repeat(500), "a1-".repeat(100));
        assert!(tokens(&long).iter().all(|token| token.folded.len() <= MAX_TERM_BYTES));
        assert_eq!(tokens("... -- !? \u{200b}"), []);
    }
}
