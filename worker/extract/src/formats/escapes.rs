//! Escapes of JSON and XML: the text for people has the characters that they stand for.

use quick_xml::escape::resolve_predefined_entity;

/// The text of a JSON file with the escapes in its strings resolved; `None`: it has none.
pub(super) fn json(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return None;
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        decoded.push_str(&rest[..place]);
        rest = &rest[place..];
        let Some(letter) = rest[1..].chars().next() else { break };
        let (shown, bytes) = match letter {
            'n' => (Some('\n'), 2),
            't' => (Some('\t'), 2),
            'r' | 'b' | 'f' => (Some(' '), 2),
            '"' | '\\' | '/' => (Some(letter), 2),
            'u' => unicode(rest).map_or((None, 2), |(shown, bytes)| (Some(shown), bytes)),
            _ => (None, 1 + letter.len_utf8()),
        };
        match shown {
            // A control character is no text.
            Some(shown) if shown.is_control() && !matches!(shown, '\n' | '\t') => {}
            Some(shown) => decoded.push(shown),
            None => decoded.push_str(&rest[..bytes]),
        }
        rest = &rest[bytes..];
    }
    decoded.push_str(rest);
    Some(decoded)
}

/// The character of `\uXXXX`, or of two of them, and their bytes.
fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |from: usize| {
        let digits = text.get(from..from + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(0)?;
    let units = [first, unit(6).unwrap_or_default()];
    match char::decode_utf16(units).next()? {
        Ok(c) => Some((c, if c.len_utf16() == 2 { 12 } else { 6 })),
        Err(_) => Some((char::REPLACEMENT_CHARACTER, 6)),
    }
}

/// The text of an XML file with its references resolved; `None`: it has none.
pub(super) fn xml(text: &str) -> Option<String> {
    if !text.contains('&') {
        return None;
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('&') {
        decoded.push_str(&rest[..place]);
        rest = &rest[place..];
        let name = rest[1..].split_once(';').map(|(name, _)| name).filter(|name| name.len() <= 10);
        match name.and_then(|name| Some((reference(name)?, name.len() + 2))) {
            Some((shown, bytes)) => {
                decoded.push(shown);
                rest = &rest[bytes..];
            }
            None => {
                decoded.push('&');
                rest = &rest[1..];
            }
        }
    }
    decoded.push_str(rest);
    Some(decoded)
}

fn reference(name: &str) -> Option<char> {
    let shown = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => number.parse().ok(),
        }
        .and_then(char::from_u32)?,
        None => resolve_predefined_entity(name)?.chars().next()?,
    };
    (!shown.is_control() || matches!(shown, '\n' | '\t')).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_their_characters() {
        assert_eq!(
            json(r#"{"a": "\u53d6\n\"x\" \ud83e\udd80 \\d \q \u00"}"#).unwrap(),
            "{\"a\": \"取\n\"x\" 🦀 \\d \\q \\u00\"}"
        );
        assert_eq!(json(r#"["\ud83e x", "\u0000"]"#).unwrap(), "[\"\u{FFFD} x\", \"\"]");
        assert_eq!(json("plain"), None);
        assert_eq!(xml("K&#246;ln &amp; M&#xFC;nchen &foo; &").unwrap(), "Köln & München &foo; &");
        assert_eq!(json("ends \\").unwrap(), "ends \\");
    }
}
