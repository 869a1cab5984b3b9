//! Letters of fonts that have symbols in their places.

/// The font Symbol from 0x20 on.
const SYMBOL_LOW: &str =
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼";
/// The font Symbol from 0xA0 on.
const SYMBOL_HIGH: &str =
    "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪ 〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭";

/// The character that a font of symbols shows for a code, which may be in the private area where word processors put them.
pub(super) fn symbol(font: &str, code: u32) -> Option<char> {
    let code = if (0xF020..=0xF0FF).contains(&code) { code - 0xF000 } else { code };
    let font = font.to_ascii_lowercase();
    if font.starts_with("wingdings") {
        return Some(match code {
            0x4A => '☺',
            0x6C => '●',
            0x6E => '■',
            0x6F | 0xA8 => '☐',
            0x71..=0x73 => '❑',
            0x76 => '❖',
            0x9F | 0xA0 | 0xB7 => '•',
            0xA7 => '▪',
            0xD8 => '➢',
            0xDF | 0xEF => '←',
            0xE0 | 0xF0 => '→',
            0xE1 | 0xF1 => '↑',
            0xE2 | 0xF2 => '↓',
            0xFB => '✗',
            0xFC => '✓',
            0xFD => '☒',
            0xFE => '☑',
            _ => return None,
        });
    }
    match code {
        0x20..=0x7E => SYMBOL_LOW.chars().nth(code as usize - 0x20),
        0xA0..=0xFE => SYMBOL_HIGH.chars().nth(code as usize - 0xA0),
        // The code of a letter that the font has itself.
        code if !(0xE000..=0xF8FF).contains(&code) => char::from_u32(code),
        _ => None,
    }
}

/// Replaces letters of the private area by what the font shows.
pub(super) fn replace_private(font: &str, text: &mut String, from: usize) {
    if !text[from..].contains(|c| ('\u{F020}'..='\u{F0FF}').contains(&c)) {
        return;
    }
    let replaced: String = text[from..]
        .chars()
        .filter_map(|c| match c {
            '\u{F020}'..='\u{F0FF}' => symbol(font, u32::from(c)),
            c => Some(c),
        })
        .collect();
    text.truncate(from);
    text.push_str(&replaced);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_the_characters_that_fonts_show() {
        assert_eq!(SYMBOL_LOW.chars().count(), 0x5F);
        assert_eq!(SYMBOL_HIGH.chars().count(), 0x5F);
        for (font, code, shown) in [
            ("Symbol", 0xF0B1, Some('±')),
            ("Symbol", 0x61, Some('α')),
            ("Symbol", 0xF0B7, Some('•')),
            ("Symbol", 0xF0E5, Some('∑')),
            ("Symbol", 0xF0F2, Some('∫')),
            ("Wingdings", 0xF0FC, Some('✓')),
            ("Wingdings", 0xF0E0, Some('→')),
            ("Wingdings", 0xF021, None),
        ] {
            assert_eq!(symbol(font, code), shown, "{font} {code:x}");
        }
    }
}
