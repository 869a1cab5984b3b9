//! Names of folders: IMAP writes them in a form of UTF-7 (RFC 3501, 5.1.3).

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Characters of a subject that a name has.
const MAX_SUBJECT_CHARS: usize = 150;
/// Base64 without padding, of the alphabet with `,` in place of `/`.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::IMAP_MUTF7,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The name for people. A name that is not in this form stays as it is: some servers send UTF-8.
pub(super) fn decoded(raw: &str) -> String {
    decode(raw).unwrap_or_else(|| raw.to_owned())
}

fn decode(raw: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = raw;
    while let Some(start) = rest.find('&') {
        name.push_str(&rest[..start]);
        let end = start + rest[start..].find('-')?;
        match &rest[start + 1..end] {
            "" => name.push('&'),
            shifted => {
                let bytes = ENGINE.decode(shifted).ok()?;
                let (units, []) = bytes.as_chunks::<2>() else { return None };
                let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
                name.push_str(&String::from_utf16(&units).ok()?);
            }
        }
        rest = &rest[end + 1..];
    }
    name.push_str(rest);
    Some(name)
}

/// The path of a folder, with `/` between its levels.
pub(super) fn path(raw: &str, delimiter: Option<char>) -> String {
    let name = decoded(raw);
    match delimiter {
        None | Some('/') => name,
        // A `/` within a level would look like another level.
        Some(delimiter) => name.replace('/', "_").replace(delimiter, "/"),
    }
}

/// The name of a message within its folder: its subject.
pub(super) fn of_message(subject: &str, uid: u32) -> String {
    let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ");
    let subject: String =
        subject.chars().filter(|c| !c.is_control()).map(|c| if c == '/' || c == '\\' { '_' } else { c }).collect();
    let subject: String = subject.trim_matches('.').trim().chars().take(MAX_SUBJECT_CHARS).collect();
    if subject.is_empty() { format!("message {uid}.eml") } else { format!("{subject}.eml") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifted_parts_of_names_are_decoded() {
        for (raw, name) in [
            ("INBOX", "INBOX"),
            ("Entw&APw-rfe", "Entwürfe"),
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("R&-D", "R&D"),
            ("&2D3eAA-", "😀"),
            // Not in this form.
            ("Tom & Jerry", "Tom & Jerry"),
            ("&2D0-", "&2D0-"),
            ("Büro", "Büro"),
        ] {
            assert_eq!(decoded(raw), name, "{raw}");
        }
    }

    #[test]
    fn path_has_slashes_between_levels_only() {
        assert_eq!(path("Archive.2026.a/b", Some('.')), "Archive/2026/a_b");
        assert_eq!(path("Archive/2026", Some('/')), "Archive/2026");
        assert_eq!(path("Flat.name", None), "Flat.name");
    }

    #[test]
    fn message_is_named_by_its_subject_without_paths() {
        assert_eq!(of_message("Re:  a/b\r\n c\\d", 7), "Re: a_b c_d.eml");
        assert_eq!(of_message(" .. ", 7), "message 7.eml");
        assert_eq!(of_message(&"ü".repeat(500), 7).chars().count(), MAX_SUBJECT_CHARS + 4);
    }
}
