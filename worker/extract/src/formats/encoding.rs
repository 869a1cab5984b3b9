//! Decodes text of any encoding. UTF-8 stays byte for byte.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

use crate::{FileError, FileErrorKind, sniff::is_odd_control};

/// The length of text that the detector examines; more would be slower but not more accurate.
const DETECTION_BYTES: usize = 256 * 1024;

/// Decodes a text file: UTF-8 unchanged (with its byte order mark), UTF-16 by its byte order mark, otherwise the encoding that a web
/// page or XML declares, otherwise the one that the detector finds. Fails as `Corrupt` if the result is not text.
pub(super) fn decode(bytes: Vec<u8>) -> Result<String, FileError> {
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let bad_at = error.utf8_error().valid_up_to();
            decode_other(&error.into_bytes(), bad_at)
        }
    };
    let odd = text.chars().filter(|&c| is_odd_control(c)).count();
    if text.contains('\0') || odd * 100 > text.len() {
        return Err(FileError::new(FileErrorKind::Corrupt, "The file starts like text but contains binary content."));
    }
    Ok(text)
}

fn decode_other(bytes: &[u8], bad_at: usize) -> String {
    if let Some((encoding, _)) = Encoding::for_bom(bytes)
        && encoding != UTF_8
    {
        return encoding.decode_with_bom_removal(bytes).0.into_owned();
    }
    let lossy = String::from_utf8_lossy(bytes);
    if is_damaged_utf8(&lossy) {
        return lossy.into_owned();
    }
    let encoding = declared(bytes).unwrap_or_else(|| detect(bytes, bad_at));
    encoding.decode_without_bom_handling(bytes).0.into_owned()
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

fn detect(bytes: &[u8], bad_at: usize) -> &'static Encoding {
    let start = bad_at.saturating_sub(DETECTION_BYTES / 2);
    let end = bytes.len().min(start + DETECTION_BYTES);
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
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
        for junk in [&b"text\0more"[..], b"\x01\x02\x03\x04 abc"] {
            assert_eq!(decode(junk.to_vec()).expect_err("not text").kind, FileErrorKind::Corrupt);
        }
    }
}
