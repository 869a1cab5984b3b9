//! The encoding of texts of Word 6 and 95, which files name only by the language of the program and by the fonts.

use encoding_rs::{Encoding, WINDOWS_1252};

use super::doc::{number16, number32};
use super::rtf_encodings;
use crate::encoding::guess;

/// Places in the header: the language, and the list of fonts.
const LANGUAGE: usize = 0x06;
const FONTS: usize = 0xD0;
/// The place of the character set in an entry of that list.
const CHARACTER_SET: usize = 4;

/// The characters of the bytes from 0x80 on, in UTF-16.
pub(super) type UpperHalf = [u16; 128];

pub(super) fn upper_half(encoding: &'static Encoding) -> UpperHalf {
    std::array::from_fn(|place| {
        let byte = [0x80 + u8::try_from(place).unwrap_or(0)];
        let (text, _) = encoding.decode_without_bom_handling(&byte);
        text.chars().next().and_then(|c| u16::try_from(u32::from(c)).ok()).unwrap_or(0xFFFD)
    })
}

/// The encoding of a text: the one that its bytes look like if language or fonts name it, else that of the language.
pub(super) fn encoding(main: &[u8], text: &[u8]) -> &'static Encoding {
    let language = number16(main, LANGUAGE).and_then(of_language);
    let guessed = guess(text);
    if language == Some(guessed) || font_encodings(main).contains(&guessed) {
        return guessed;
    }
    language.filter(|_| guessed != WINDOWS_1252).unwrap_or(WINDOWS_1252)
}

/// The encodings of the fonts, as far as a byte is a character of them.
fn font_encodings(main: &[u8]) -> Vec<&'static Encoding> {
    let mut found = Vec::new();
    let bounds = number32(main, FONTS).zip(number32(main, FONTS + 4));
    let Some((start, length)) = bounds.map(|(start, length)| (start as usize, length as usize)) else { return found };
    let mut rest = start.checked_add(length).and_then(|end| main.get(start..end)?.get(2..)).unwrap_or_default();
    while let (Some(length), Some(set)) = (rest.first(), rest.get(CHARACTER_SET)) {
        found.extend(rtf_encodings::charset(i64::from(*set)).filter(|encoding| encoding.is_single_byte()));
        rest = rest.get(usize::from(*length) + 1..).unwrap_or_default();
    }
    found
}

/// The encoding of a language of Windows, unless it is that of Western Europe.
fn of_language(language: u16) -> Option<&'static Encoding> {
    const SERBIAN: u16 = 0x1A;
    const SERBIAN_CYRILLIC: [u16; 2] = [0x0C1A, 0x1C1A];
    // The lower bits are the same in all countries.
    let codepage = match language & 0x3FF {
        SERBIAN if SERBIAN_CYRILLIC.contains(&language) => 1251,
        0x02 | 0x19 | 0x22 | 0x23 | 0x2F => 1251,
        0x05 | 0x0E | 0x15 | 0x18 | SERBIAN | 0x1B | 0x1C | 0x24 => 1250,
        0x08 => 1253,
        0x1F | 0x2C => 1254,
        0x0D => 1255,
        0x01 | 0x20 | 0x29 => 1256,
        0x25..=0x27 => 1257,
        0x2A => 1258,
        0x1E => 874,
        _ => return None,
    };
    Some(rtf_encodings::encoding(codepage))
}
