//! The parts of words, and the forms of numbers.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;

use crate::fold::is_invisible;

/// The most letters before the digits of a size, as in `M8x40`.
const MAX_SIZE_LETTERS: usize = 3;

/// The parts of a word with digits: the sizes of `M8x40`, number and unit of `10kg`, letters and number of `AB1234`. Those of other
/// words, such as hashes, would be noise.
pub(super) fn parts_with_digits(word: &str) -> Vec<Range<usize>> {
    if let Some(sizes) = sizes(word) {
        return sizes;
    }
    if let Some(unit) = unit(word) {
        let is_long = word[unit..].chars().nth(1).is_some();
        return [Some(0..unit), is_long.then_some(unit..word.len())].into_iter().flatten().collect();
    }
    let Some(digits) = word.find(char::is_numeric) else { return Vec::new() };
    let (letters, number) = word.split_at(digits);
    let is_split = letters.chars().count() >= 2 && number.chars().count() >= 2 && number.chars().all(char::is_numeric);
    if is_split { vec![0..digits, digits..word.len()] } else { Vec::new() }
}

/// The sizes that an `x` separates; `None`: there are none.
fn sizes(word: &str) -> Option<Vec<Range<usize>>> {
    let mut sizes = Vec::new();
    let mut start = 0;
    for size in word.split(['x', 'X']) {
        let digits = size.find(char::is_numeric).filter(|letters| *letters <= MAX_SIZE_LETTERS)?;
        if !size[digits..].chars().all(char::is_numeric) {
            return None;
        }
        sizes.push(start..start + size.len());
        start += size.len() + 1;
    }
    (sizes.len() > 1).then_some(sizes)
}

/// The place of the letters behind a number, as in `10kg`; `None`: the word is another one.
pub(super) fn unit(word: &str) -> Option<usize> {
    let letters = word.find(|c: char| !c.is_numeric()).filter(|letters| *letters > 0)?;
    (!word[letters..].chars().any(char::is_numeric)).then_some(letters)
}

/// The parts of a word that begin with capital letters, of two characters at least. Empty: it has none.
pub(super) fn capitalised_parts(word: &str) -> Vec<Range<usize>> {
    if !word.chars().skip(1).any(char::is_uppercase) {
        return Vec::new();
    }
    let letters: Vec<(usize, bool)> = word
        .char_indices()
        .filter(|(_, c)| !is_combining_mark(*c) && !is_invisible(*c))
        .map(|(at, c)| (at, c.is_uppercase()))
        .collect();
    let is_capital = |place: usize| letters.get(place).map(|(_, is_capital)| *is_capital);
    let mut starts = vec![0];
    for (place, (at, _)) in letters.iter().enumerate().skip(1) {
        // The last letter of `HTTP` in `HTTPServer` is that of `Server`, but plurals such as `PDFs` have none.
        let ends_capitals = is_capital(place + 1) == Some(false) && is_capital(place + 2) == Some(false);
        if is_capital(place) == Some(true) && (is_capital(place - 1) == Some(false) || ends_capitals) {
            starts.push(*at);
        }
    }
    starts.push(word.len());
    if starts.len() == 2 {
        return Vec::new();
    }
    let parts = starts.windows(2).map(|pair| pair[0]..pair[1]);
    parts.filter(|part| word[part.clone()].chars().nth(1).is_some()).collect()
}

/// A number with these separators of thousands and decimals, without those of thousands; `None`: it has none.
pub(super) fn without_thousands(written: &str, thousands: char, decimal: char) -> Option<String> {
    let (whole, fraction) = written.split_once(decimal).map_or((written, None), |(whole, rest)| (whole, Some(rest)));
    let mut groups = whole.split(thousands);
    let first = groups.next().filter(|first| (1..=3).contains(&first.len()))?;
    let mut plain = first.to_owned();
    let mut count = 0;
    for group in groups {
        if group.len() != 3 {
            return None;
        }
        plain.push_str(group);
        count += 1;
    }
    if count == 0 || fraction.is_some_and(|fraction| fraction.contains(['.', ','])) {
        return None;
    }
    if let Some(fraction) = fraction {
        plain.push(decimal);
        plain.push_str(fraction);
    }
    Some(plain)
}
