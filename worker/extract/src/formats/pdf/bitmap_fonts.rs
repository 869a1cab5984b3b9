//! Letters of TeX's bitmap fonts, which are Type 3 fonts that name their glyphs by their codes only: `a65`, or the byte itself.
//!
//! The codes are those of TeX's fonts of text (OT1 with 128 letters, T1 with 256), in which most letters have their ASCII codes. A
//! font that has no text says nothing: its codes are those of symbols.

use std::collections::HashMap;

use hayro_interpret::hayro_syntax::object::{Array, Dict, Name, Object};

/// Fewest small letters of a font of text.
const MIN_SMALL_LETTERS: usize = 4;
/// How far a width may be from that of its font, in thousandths of the font's size.
const WIDTH_TOLERANCE: f32 = 0.05;

/// The order of a font's letters.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Coding {
    Ot1,
    T1,
    /// Letters, numbers and signs where ASCII has them.
    Ascii,
}

/// The bitmap fonts of a file that name their glyphs by codes.
pub(super) struct BitmapFonts {
    fonts: Vec<BitmapFont>,
}

struct BitmapFont {
    coding: Option<Coding>,
    /// The widths of the codes it has.
    widths: HashMap<u32, f32>,
}

impl BitmapFonts {
    pub(super) fn new(fonts: &[Dict<'_>]) -> Self {
        Self { fonts: fonts.iter().filter_map(BitmapFont::new).collect() }
    }

    /// The letters of glyphs of one font, of which the codes and widths are given, by their codes.
    pub(super) fn letters(&self, glyphs: &[(u32, f32)]) -> HashMap<u32, String> {
        let font = self.fonts.iter().find(|font| font.has(glyphs));
        let Some(coding) = font.and_then(|font| font.coding) else { return HashMap::new() };
        glyphs.iter().filter_map(|(code, _)| Some((*code, letters_of(*code, coding)?))).collect()
    }
}

impl BitmapFont {
    fn new(font: &Dict<'_>) -> Option<Self> {
        let [scale, ..] = font.get::<[f32; 6]>(b"FontMatrix")?;
        let first = font.get::<u32>(b"FirstChar")?;
        let widths = font.get::<Array<'_>>(b"Widths")?;
        let widths: HashMap<u32, f32> =
            (first..=255).zip(widths.iter::<f32>()).map(|(code, width)| (code, width * scale * 1000.0)).collect();
        let codes = named_by_code(&font.get::<Dict<'_>>(b"Encoding")?.get::<Array<'_>>(b"Differences")?);
        (!codes.is_empty()).then(|| Self {
            coding: coding(&codes),
            widths: widths.into_iter().filter(|(code, _)| codes.contains(code)).collect(),
        })
    }

    fn has(&self, glyphs: &[(u32, f32)]) -> bool {
        glyphs.iter().all(|(code, width)| {
            self.widths.get(code).is_some_and(|known| (known - width).abs() <= WIDTH_TOLERANCE.max(known.abs() * 1e-4))
        })
    }
}

/// The codes whose glyphs are named by them.
fn named_by_code(differences: &Array<'_>) -> Vec<u32> {
    let mut codes = Vec::new();
    let mut code = 0_u32;
    for object in differences.iter::<Object<'_>>() {
        match object {
            Object::Number(number) => code = u32::try_from(number.as_i64()).unwrap_or(u32::MAX),
            Object::Name(name) => {
                if is_name_of(&name, code) {
                    codes.push(code);
                }
                code = code.saturating_add(1);
            }
            _ => {}
        }
    }
    codes
}

/// Whether a name is that of a code: its byte, or its number behind letters.
fn is_name_of(name: &Name<'_>, code: u32) -> bool {
    let name: &[u8] = name;
    if let [byte] = name {
        return u32::from(*byte) == code;
    }
    let digits =
        name.iter().position(u8::is_ascii_digit).filter(|place| name[..*place].iter().all(u8::is_ascii_alphabetic));
    let number = digits.and_then(|place| std::str::from_utf8(&name[place..]).ok()?.parse::<u32>().ok());
    number == Some(code)
}

/// The coding of a font with letters at these codes; `None`: it has no letters.
fn coding(codes: &[u32]) -> Option<Coding> {
    let count = |range: std::ops::RangeInclusive<u32>| codes.iter().filter(|code| range.contains(code)).count();
    let small = count(0x61..=0x7A);
    if small < MIN_SMALL_LETTERS {
        let plain = small + count(0x41..=0x5A) + count(0x30..=0x39);
        return (plain * 2 >= codes.len() && plain > 0).then_some(Coding::Ascii);
    }
    // Ligatures: `ff`, `fi` and `ffi` have their places in each.
    let has = |code: u32| codes.contains(&code);
    match (has(11) || has(12) || has(14), count(128..=255) + count(27..=31) > 0) {
        (true, _) => Some(Coding::Ot1),
        (false, true) => Some(Coding::T1),
        (false, false) => Some(Coding::Ascii),
    }
}

/// The letters at a place of a coding.
fn letters_of(code: u32, coding: Coding) -> Option<String> {
    let byte = u8::try_from(code).ok()?;
    let place = usize::from(byte);
    let of = |letters: &str, from: usize| letters.chars().nth(place - from).map(String::from);
    let ligature =
        |from: usize| ["ff", "fi", "fl", "ffi", "ffl"].get(place - from).map(|letters| (*letters).to_owned());
    match (coding, byte) {
        (_, b'\'') => Some("’".to_owned()),
        (_, b'`') => Some("‘".to_owned()),
        (Coding::Ot1, 0..=10) => of("ΓΔΘΛΞΠΣΥΦΨΩ", 0),
        (Coding::Ot1, 11..=15) => ligature(11),
        (Coding::Ot1, 16..=31) => of("ıȷ`´ˇ˘¯˚¸ßæœøÆŒØ", 16),
        (Coding::Ot1, b'"') => Some("”".to_owned()),
        (Coding::Ot1, b'<') => Some("¡".to_owned()),
        (Coding::Ot1, b'>') => Some("¿".to_owned()),
        (Coding::Ot1, b'\\') => Some("“".to_owned()),
        (Coding::Ot1, 0x7B..=0x7F) => of("–—˝˜¨", 0x7B),
        (Coding::T1, 0..=22) => of("`´ˆ˜¨˝˚ˇ˘¯˙¸˛‚‹›“”„«»–—", 0),
        (Coding::T1, 25) => Some("ı".to_owned()),
        (Coding::T1, 27..=31) => ligature(27),
        (Coding::T1, 0x7F) => Some("-".to_owned()),
        (Coding::T1, 0x80..=0xBF) => of(T1_MIDDLE, 0x80),
        (Coding::T1, 0xC0..=0xFF) => of(T1_HIGH, 0xC0),
        (_, 0x21..=0x7E) => Some(char::from(byte).to_string()),
        _ => None,
    }
}

/// The letters of T1 from 0x80 on.
const T1_MIDDLE: &str = "ĂĄĆČĎĚĘĞĹĽŁŃŇŊŐŔŘŚŠŞŤŢŰŮŸŹŽŻĲİđ§ăąćčďěęğĺľłńňŋőŕřśšşťţűůÿźžżĳ¡¿£";

/// The letters of T1 from 0xC0 on: those of Latin 1, but for four.
const T1_HIGH: &str = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖŒØÙÚÛÜÝÞẞàáâãäåæçèéêëìíîïðñòóôõöœøùúûüýþß";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_a_letter_for_each_code() {
        assert_eq!((T1_MIDDLE.chars().count(), T1_HIGH.chars().count()), (64, 64));
        let letters = |coding| (0..=255).filter_map(|code| letters_of(code, coding)).collect::<Vec<_>>();
        assert_eq!(letters(Coding::Ot1).len(), 127, "all but the blank");
        assert_eq!(letters(Coding::T1)[27 - 2], "fi", "the codes 23 and 24 have no letters, and 26 neither");
    }

    #[test]
    fn ligatures_and_accented_letters_say_the_coding() {
        let small: Vec<u32> = (0x61..0x7A).collect();
        assert_eq!(coding(&[&[12, 65][..], &small].concat()), Some(Coding::Ot1));
        assert_eq!(coding(&[&[28, 252][..], &small].concat()), Some(Coding::T1));
        assert_eq!(coding(&[49]), Some(Coding::Ascii));
        assert_eq!(coding(&[0, 3, 15, 102]), None, "symbols");
        assert_eq!(letters_of(255, Coding::T1).as_deref(), Some("ß"));
        assert_eq!(letters_of(12, Coding::Ot1).as_deref(), Some("fi"));
    }
}
