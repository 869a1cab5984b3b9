//! Decodes text of any encoding. UTF-8 stays byte for byte.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    Encoding, ISO_2022_JP, ISO_8859_10, ISO_8859_16, MACINTOSH, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1252,
    WINDOWS_1254,
};

use crate::codepage::{CodePage, is_ebcdic, is_iso_2022_kr, iso_2022_kr};
use crate::{FileError, FileErrorKind};

/// The length of text that the detector examines; more would be slower but not more accurate.
const DETECTION_BYTES: usize = 256 * 1024;
/// Control characters in a row that no slip explains.
const MAX_CONTROL_RUN: usize = 8;
/// Odd letters from which on a text may be in the Nordic ISO 8859-10, which has letters for nearly all bytes.
const MIN_NORDIC_ODDNESS: usize = 10;

/// Decodes a text file: UTF-8 unchanged (with its byte order mark), UTF-16 and UTF-32 also without their marks, otherwise the
/// encoding that a web page or XML declares, otherwise the one that its bytes look like. Stray control characters are left out.
/// Fails as `Corrupt` if the result is not text.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<String, FileError> {
    decode_declared(bytes, None)
}

/// As [`decode`], with an encoding that is declared outside of the text.
pub(crate) fn decode_declared(bytes: Vec<u8>, declared: Option<&'static Encoding>) -> Result<String, FileError> {
    let is_marked = has_wide_mark(&bytes);
    let text = match wide(&bytes) {
        Some(text) => text,
        None => match String::from_utf8(bytes) {
            Ok(text) => decode_escaped(&text).unwrap_or(text),
            Err(error) => {
                let bad_at = error.utf8_error().valid_up_to();
                decode_other(&error.into_bytes(), bad_at, declared)
            }
        },
    };
    if is_marked && !is_readable(&text) {
        return Err(turns_binary());
    }
    without_controls(text)
}

/// Whether bytes begin with the mark of UTF-16.
pub(crate) fn has_wide_mark(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF])
}

/// Whether bytes with the mark of UTF-16 are text in it.
pub(crate) fn is_marked_text(bytes: &[u8]) -> bool {
    Encoding::for_bom(bytes).is_some_and(|(encoding, _)| is_readable(&encoding.decode_with_bom_removal(bytes).0))
}

/// Whether nearly all characters are some. Any two bytes are a unit of UTF-16, but an eighth of the units are none or private ones.
fn is_readable(text: &str) -> bool {
    let is_bad = |c: &char| matches!(c, '\u{FFFD}'..='\u{FFFF}' | '\u{E000}'..='\u{F8FF}');
    text.chars().filter(is_bad).count() <= 2 + text.chars().count() / 50
}

/// The bytes before binary content begins; all if it does not.
pub(crate) fn text_bytes(bytes: &[u8]) -> usize {
    let is_wide = has_wide_mark(bytes) || wide(bytes).is_some();
    if is_wide || is_ebcdic(&bytes[..bytes.len().min(DETECTION_BYTES)]) || is_iso_2022_kr(bytes) {
        return bytes.len();
    }
    let is_odd = |byte: &u8| is_odd_control(char::from(*byte));
    let run = bytes.windows(MAX_CONTROL_RUN).position(|window| window.iter().all(is_odd));
    let is_mixed = bytes.iter().filter(|byte| is_odd(byte)).count() > 2 + bytes.len() / 100;
    run.or_else(|| bytes.iter().position(is_odd).filter(|_| is_mixed)).unwrap_or(bytes.len())
}

/// The failure of a text that turns into something else.
pub(crate) fn turns_binary() -> FileError {
    FileError::new(FileErrorKind::Corrupt, "The file starts like text but contains binary content.")
}

/// The text without stray control characters.
fn without_controls(text: String) -> Result<String, FileError> {
    // They are ASCII, and bytes are counted faster than characters.
    if !text.bytes().any(|byte| is_odd_control(char::from(byte))) {
        return Ok(text);
    }
    let (mut odd, mut run, mut longest) = (0, 0, 0);
    for c in text.chars() {
        match is_odd_control(c) {
            true => (odd, run) = (odd + 1, run + 1),
            false => run = 0,
        }
        longest = longest.max(run);
    }
    if longest >= MAX_CONTROL_RUN || odd > 2 + text.len() / 100 {
        return Err(turns_binary());
    }
    Ok(text.chars().filter(|&c| !is_odd_control(c)).collect())
}

/// A text in UTF-16 or UTF-32 without a mark, or UTF-32 with one; `None`: it is none.
pub(crate) fn wide(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(4096) & !3];
    if head.len() < 8 || head.starts_with(&[0xFF, 0xFE]) && head[2..4] != [0, 0] || head.starts_with(&[0xFE, 0xFF]) {
        return None;
    }
    let zeros: Vec<usize> =
        (0..4).map(|place| head.iter().skip(place).step_by(4).filter(|&&byte| byte == 0).count()).collect();
    let units = head.len() / 4;
    let (most, few) = (units * 9 / 10, units / 20);
    if zeros[3] >= most.max(1) && zeros[2] >= most.max(1) && zeros[0] <= few {
        return utf32(bytes, u32::from_le_bytes);
    }
    if zeros[0] >= most.max(1) && zeros[1] >= most.max(1) && zeros[3] <= few {
        return utf32(bytes, u32::from_be_bytes);
    }
    let (even, odd) = (zeros[0] + zeros[2], zeros[1] + zeros[3]);
    let pairs = head.len() / 2;
    let encoding = match () {
        () if odd * 5 >= pairs * 2 && even * 20 <= pairs => UTF_16LE,
        () if even * 5 >= pairs * 2 && odd * 20 <= pairs => UTF_16BE,
        () => return without_zeros(bytes),
    };
    let text = encoding.decode_without_bom_handling(bytes).0;
    is_text(&text).then(|| text.into_owned())
}

/// A text in UTF-16 whose letters have no zero bytes: of East Asia, for example.
fn without_zeros(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(4096) & !1];
    if std::str::from_utf8(head).is_ok() {
        return None;
    }
    let is_common = |c: char| {
        matches!(c, '\n' | '\r' | ' '..='~' | '\u{3000}'..='\u{30FF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}'
            | '\u{FF00}'..='\u{FFEF}' | '\u{400}'..='\u{44F}' | '\u{620}'..='\u{64A}')
    };
    let found = [UTF_16LE, UTF_16BE].into_iter().find(|encoding| {
        let (text, had_errors) = encoding
            .decode_without_bom_handling_and_without_replacement(head)
            .map_or(("".into(), true), |text| (text, false));
        let count = text.chars().count();
        let pauses = text.chars().filter(|c| matches!(c, '\n' | ' ' | '\u{3001}' | '\u{3002}' | '\u{FF0C}')).count();
        // Compressed bytes also give many letters of East Asia, but no pauses between them.
        !had_errors
            && count >= 8
            && pauses * 40 >= count
            && text.chars().filter(|&c| is_common(c)).count() * 50 >= count * 49
    })?;
    Some(found.decode_without_bom_handling(bytes).0.into_owned())
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Option<String> {
    let units = bytes.chunks_exact(4).filter_map(|bytes| bytes.try_into().ok()).map(unit);
    let text: String = units.map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    is_text(&text).then(|| text.trim_start_matches('\u{FEFF}').to_owned())
}

/// Control characters that do not occur in text: all but tab, line ends, form feed, backspace and escape.
pub(crate) fn is_odd_control(c: char) -> bool {
    matches!(c, '\0'..='\x07' | '\x0E'..='\x1A' | '\x1C'..='\x1F' | '\x7F')
}

/// Whether hardly any characters are none that people write.
fn is_text(text: &str) -> bool {
    let bad = text.chars().filter(|&c| is_odd_control(c) || c == char::REPLACEMENT_CHARACTER).count();
    bad * 50 <= text.chars().count()
}

/// A text whose bytes are all ASCII because it switches between sets of letters.
fn decode_escaped(text: &str) -> Option<String> {
    if let Some(korean) = iso_2022_kr(text.as_bytes()) {
        return Some(korean);
    }
    if !["\x1b$B", "\x1b$@", "\x1b(J", "\x1b(I"].iter().any(|escape| text.contains(escape)) {
        return None;
    }
    let decoded = ISO_2022_JP.decode_without_bom_handling_and_without_replacement(text.as_bytes())?;
    Some(decoded.into_owned())
}

fn decode_other(bytes: &[u8], bad_at: usize, given: Option<&'static Encoding>) -> String {
    if let Some((encoding, _)) = Encoding::for_bom(bytes)
        && encoding != UTF_8
    {
        return encoding.decode_with_bom_removal(bytes).0.into_owned();
    }
    let lossy = String::from_utf8_lossy(bytes);
    if is_damaged_utf8(&lossy) {
        return lossy.into_owned();
    }
    if let Some(encoding) = declared(bytes).or(given) {
        return encoding.decode_without_bom_handling(bytes).0.into_owned();
    }
    if is_ebcdic(bytes) {
        return CodePage::Ebcdic.decode(bytes);
    }
    let detected = detect(bytes, bad_at);
    let text = detected.decode_without_bom_handling(bytes).0;
    // The detector does not know the encodings of DOS and old Macs, nor the rare ones of ISO.
    if ![WINDOWS_1252, WINDOWS_1250, WINDOWS_1254].contains(&detected) && oddness(&text) < 2 {
        return text.into_owned();
    }
    let (start, end) = window(bytes, bad_at);
    let sample = &bytes[start..end];
    let found = oddness(&detected.decode_without_bom_handling(sample).0);
    let dos = [CodePage::Cp850, CodePage::Cp437, CodePage::Cp852, CodePage::Cp855].map(Rare::Dos);
    let others = dos.into_iter().chain([MACINTOSH, ISO_8859_16].map(Rare::Web));
    let others = others.chain((found >= MIN_NORDIC_ODDNESS).then_some(Rare::Web(ISO_8859_10)));
    let best = others.map(|rare| (oddness(&rare.decode(sample)), rare)).min_by_key(|(odd, _)| *odd);
    match best {
        // Only with clear letters: a third of the oddities, and at least two fewer.
        Some((odd, rare)) if odd * 3 <= found && odd + 2 <= found => rare.decode(bytes),
        _ => text.into_owned(),
    }
}

/// An encoding that the detector does not know.
enum Rare {
    Dos(CodePage),
    Web(&'static Encoding),
}

impl Rare {
    fn decode(&self, bytes: &[u8]) -> String {
        match self {
            Self::Dos(page) => page.decode(bytes),
            Self::Web(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
        }
    }
}

/// How many letters beyond ASCII stand where no language puts them: signs within words, capitals behind small letters, rare signs.
fn oddness(text: &str) -> usize {
    let letters: Vec<char> = text.chars().take(DETECTION_BYTES).collect();
    let mut odd = 0;
    for (place, &c) in letters.iter().enumerate() {
        if c.is_ascii() {
            continue;
        }
        let before = place.checked_sub(1).map_or(' ', |place| letters[place]);
        let after = letters.get(place + 1).copied().unwrap_or(' ');
        let touches = before.is_alphabetic() || after.is_alphabetic();
        // Words have letters of one script.
        let is_mixed = before.is_ascii_alphabetic() || after.is_ascii_alphabetic();
        odd += usize::from(is_mixed && matches!(c, '\u{400}'..='\u{4FF}')) * 2;
        odd += match c {
            c if c.is_control() => 3,
            'ƒ' | '‰' | '\u{2C6}' | '\u{2DC}' | '¤' | '¦' | '¬' | '¯' | '¸' | '¨' if touches => 2,
            '’' | '‘' | '“' | '”' | '«' | '»' | '–' | '—' | '…' | '·' | '°' | '€' | '§' | '´' | '¿' | '¡' | '„' =>
            {
                // Within a word only an apostrophe stands.
                usize::from(c != '’' && before.is_alphabetic() && after.is_alphabetic()) * 2
            }
            c if c.is_uppercase() => usize::from(before.is_lowercase()) * 2,
            // Small letters behind a capital and before none are common.
            c if c.is_lowercase() => usize::from(before.is_uppercase() && after.is_uppercase()),
            c if c.is_alphabetic() => usize::from(matches!(c, 'ª' | 'º') && after.is_alphabetic()) * 2,
            '\u{2500}'..='\u{25FF}' => usize::from(touches) * 2,
            '\u{A0}' | '\u{AD}' => 0,
            _ => usize::from(touches),
        };
    }
    odd
}

/// Whether the text is UTF-8 with a few invalid bytes: then many characters decode, of another encoding hardly any.
fn is_damaged_utf8(lossy: &str) -> bool {
    let bad = lossy.chars().filter(|&c| c == char::REPLACEMENT_CHARACTER).count();
    let good = lossy.chars().filter(|&c| !c.is_ascii() && c != char::REPLACEMENT_CHARACTER).count();
    good >= bad * 10
}

/// The encoding named by `<meta charset=..>`, `<meta .. content="..; charset=..">` or `<?xml encoding=".."?>`.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_ascii_lowercase();
    if !head.trim_start().starts_with('<') {
        return None;
    }
    let (_, after) = head.split_once("charset=").or_else(|| head.split_once("encoding="))?;
    let label = after.trim_start_matches(['"', '\'']);
    let end = label.find(['"', '\'', ';', '>', ' ', '/', '?']).unwrap_or(label.len());
    Encoding::for_label(&label.as_bytes()[..end]).filter(|&encoding| encoding != UTF_8)
}

/// The part of a text around its first byte beyond ASCII.
fn window(bytes: &[u8], bad_at: usize) -> (usize, usize) {
    let start = bad_at.saturating_sub(DETECTION_BYTES / 2);
    (start, bytes.len().min(start + DETECTION_BYTES))
}

/// The encoding that the bytes of a text look like.
pub(crate) fn guess(bytes: &[u8]) -> &'static Encoding {
    detect(bytes, bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or(0))
}

fn detect(bytes: &[u8], bad_at: usize) -> &'static Encoding {
    let (start, end) = window(bytes, bad_at);
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(&bytes[start..end], end == bytes.len());
    detector.guess(None, Utf8Detection::Deny)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        decode(bytes.to_vec()).expect("is text")
    }

    #[test]
    fn utf8_is_unchanged() {
        let original = "\u{FEFF}Zeile\r\n\ttab\u{A0}ﬁ e\u{301} 🦀\n\n";
        assert_eq!(text(original.as_bytes()), original);
    }

    #[test]
    fn utf16_is_decoded_by_its_byte_order_mark() {
        let mut bytes = vec![0xFF, 0xFE];
        bytes.extend("Grüße €".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(text(&bytes), "Grüße €");
        let mut bytes = vec![0xFE, 0xFF];
        bytes.extend("Grüße €".encode_utf16().flat_map(u16::to_be_bytes));
        assert_eq!(text(&bytes), "Grüße €");
    }

    #[test]
    fn legacy_encodings_are_detected() {
        let german = "Die Straße führt über die Brücke nach Köln, wo große Bäume stehen.";
        let (bytes, ..) = encoding_rs::WINDOWS_1252.encode(german);
        assert_eq!(text(&bytes), german);
        let russian = "Съешь же ещё этих мягких французских булок, да выпей чаю.";
        let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(russian);
        assert_eq!(text(&bytes), russian);
        let japanese = "日本語の文章をここに書いておきます。よろしくお願いします。";
        let (bytes, ..) = encoding_rs::SHIFT_JIS.encode(japanese);
        assert_eq!(text(&bytes), japanese);
    }

    #[test]
    fn declared_encoding_takes_precedence_over_detection() {
        let (bytes, ..) = encoding_rs::ISO_8859_7.encode("<meta charset='iso-8859-7'><p>αβγ</p>");
        assert!(text(&bytes).contains("αβγ"));
    }

    #[test]
    fn invalid_byte_leaves_the_rest_intact() {
        let mut bytes = "Grüße über Brücken, schöne Bäume für jährliche Müßiggänger".as_bytes().to_vec();
        bytes.push(0xFF);
        assert!(text(&bytes).starts_with("Grüße über Brücken"));
    }

    #[test]
    fn binary_junk_is_corrupt() {
        let late = [&[b'a'; 20_000][..], &[0; 10]].concat();
        for junk in [&late, &b"\x01\x02\x03\x04 abc"[..]] {
            assert_eq!(decode(junk.to_vec()).expect_err("not text").kind, FileErrorKind::Corrupt);
        }
    }

    #[test]
    fn binary_content_with_the_mark_of_utf_16_is_corrupt() {
        let mut state = 1_u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // The upper bytes are the random ones; none is 0, which would be found as a control character.
            (state >> 24) as u8 | 1
        });
        let binary: Vec<u8> = [0xFF, 0xFE].into_iter().chain(noise.take(4_000)).collect();
        assert_eq!(decode(binary).expect_err("not text").kind, FileErrorKind::Corrupt);
        let words = "水道料金は、来月から値上げされます。𠮷";
        let marked = || [0xFF, 0xFE].into_iter().chain(words.encode_utf16().flat_map(u16::to_le_bytes));
        assert!(is_marked_text(&marked().collect::<Vec<u8>>()));
        assert_eq!(text(&marked().collect::<Vec<u8>>()), words);
    }

    #[test]
    fn stray_control_characters_are_left_out() {
        assert_eq!(text(b"Alarm \x07 rang at noon."), "Alarm  rang at noon.");
        assert_eq!(text(b"one\0two\x1a"), "onetwo");
    }

    #[test]
    fn wide_text_without_a_mark_is_recognised() {
        for words in ["No mark, but plainly text.\n", "水道料金は、来月から値上げされます。\n図書館は休み。"]
        {
            let units: Vec<u16> = words.encode_utf16().collect();
            let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            assert_eq!((text(&little).as_str(), text(&big).as_str()), (words, words));
            let little: Vec<u8> = words.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
            assert_eq!(text(&little), words);
        }
    }

    #[test]
    fn switching_encoding_is_decoded() {
        assert_eq!(text(b"\x1b$B2q5D$N5D;vO?$G$9!#\x1b(B ok"), "会議の議事録です。 ok");
    }

    #[test]
    fn rare_encodings_are_told_by_their_letters() {
        let russian =
            "Съешь же ещё этих мягких французских булок, да выпей чаю. Широкая электрификация южных губерний.";
        let table = CodePage::Cp855.decode(&(0x80..=0xFF).collect::<Vec<u8>>());
        let byte = |c: char| table.chars().position(|letter| letter == c).map_or(c as u8, |place| 0x80 + place as u8);
        assert_eq!(text(&russian.chars().map(byte).collect::<Vec<u8>>()), russian);
        let slovene =
            "Široka cesta drži čez žitna polja, šestnajst žena pa šiva žametne suknjiče, Žiga išče še škornje.";
        let (bytes, ..) = encoding_rs::ISO_8859_16.encode(slovene);
        assert_eq!(text(&bytes), slovene);
    }

    #[test]
    fn encodings_of_dos_and_macs_are_told_by_their_letters() {
        let german = "Die Größe der Möbel für die Küche überprüfen, Käufer wählen Türen.";
        let french = "Le café est fermé, il a été vidé à l’aube par des élèves zélés.";
        let encode = |words: &str, page: CodePage| -> Vec<u8> {
            let all: Vec<u8> = (0..=255).collect();
            let letters: Vec<char> = page.decode(&all).chars().collect();
            words
                .chars()
                .map(|c| letters.iter().position(|letter| *letter == c).unwrap_or(usize::from(b'?')) as u8)
                .collect()
        };
        assert_eq!(text(&encode(german, CodePage::Cp850)), german);
        assert_eq!(text(&encode(&french.replace('’', "'"), CodePage::Cp850)), french.replace('’', "'"));
        for words in [german, french] {
            assert_eq!(text(&MACINTOSH.encode(words).0), words);
            assert_eq!(text(&WINDOWS_1252.encode(words).0), words);
        }
    }
}
