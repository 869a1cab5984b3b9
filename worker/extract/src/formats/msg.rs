//! Mails of Outlook: an OLE container with a stream for each property.

use std::io::{Read, Seek};

use cfb::CompoundFile;
use encoding_rs::{Encoding, WINDOWS_1252};
use mail_parser::DateTime;

use super::builder::DocumentBuilder;
use super::{html, mail, rtf, rtf_encodings};
use crate::encoding;
use crate::{ElementKind, FileError, MediaType};

/// Most bytes of a property.
const MAX_PROPERTY_BYTES: u64 = 64 << 20;

/// Properties of fixed size: the code page of texts and that of the page, and the times at which the mail was sent and delivered.
const MESSAGE_CODEPAGE: [u8; 4] = [0x03, 0x00, 0xFD, 0x3F];
const INTERNET_CODEPAGE: [u8; 4] = [0x03, 0x00, 0xDE, 0x3F];
const SUBMIT_TIME: [u8; 4] = [0x40, 0x00, 0x39, 0x00];
const DELIVERY_TIME: [u8; 4] = [0x40, 0x00, 0x06, 0x0E];

/// Whether a container has the properties of a mail.
pub(crate) fn is_mail<F: Read + Seek>(container: &CompoundFile<F>) -> bool {
    container.exists("/__properties_version1.0")
}

/// The bytes of a property of a storage.
fn property<F: Read + Seek>(container: &mut CompoundFile<F>, storage: &str, name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let stream = container.open_stream(format!("{storage}/__substg1.0_{name}")).ok()?;
    stream.take(MAX_PROPERTY_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A property that is a text: in UTF-16, or in the code page of its writer.
pub(crate) fn text<F: Read + Seek>(container: &mut CompoundFile<F>, storage: &str, tag: &str) -> Option<String> {
    if let Some(bytes) = property(container, storage, &format!("{tag}001F")) {
        return Some(encoding_rs::UTF_16LE.decode_without_bom_handling(&bytes).0.trim_end_matches('\0').to_owned());
    }
    let bytes = property(container, storage, &format!("{tag}001E"))?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let bytes = error.into_bytes();
            let label = codepage(container).unwrap_or(WINDOWS_1252);
            label.decode_without_bom_handling(&bytes).0.into_owned()
        }
    };
    Some(text.trim_end_matches('\0').to_owned())
}

/// A property of fixed size, by its type and identifier, lowest bytes first.
fn fixed<F: Read + Seek>(container: &mut CompoundFile<F>, tag: [u8; 4]) -> Option<[u8; 8]> {
    let mut bytes = Vec::new();
    container.open_stream("/__properties_version1.0").ok()?.take(1 << 20).read_to_end(&mut bytes).ok()?;
    let entry = bytes.get(32..)?.chunks_exact(16).find(|entry| entry[..4] == tag)?;
    entry[8..].try_into().ok()
}

/// The code page of texts and, if they name none, of the page.
fn codepage<F: Read + Seek>(container: &mut CompoundFile<F>) -> Option<&'static Encoding> {
    let page = fixed(container, MESSAGE_CODEPAGE).or_else(|| fixed(container, INTERNET_CODEPAGE))?;
    Some(encoding_of(page))
}

fn encoding_of(page: [u8; 8]) -> &'static Encoding {
    let [first, second, third, fourth, ..] = page;
    rtf_encodings::encoding(i64::from(u32::from_le_bytes([first, second, third, fourth])))
}

/// When the mail was sent, or else delivered: as its header says, or its properties, of which a sent mail has only those.
fn date<F: Read + Seek>(container: &mut CompoundFile<F>) -> String {
    let header = text(container, "", "007D").unwrap_or_default();
    if let Some(date) = header.lines().find_map(|line| line.strip_prefix("Date: ")) {
        return DateTime::parse_rfc822(date).map_or_else(|| date.to_owned(), |date| date.to_rfc3339());
    }
    let time = fixed(container, SUBMIT_TIME).or_else(|| fixed(container, DELIVERY_TIME)).map(u64::from_le_bytes);
    let seconds = time.and_then(|time| i64::try_from(time / 10_000_000).ok());
    // Counted from the year 1601.
    let date = seconds.map(|seconds| DateTime::from_timestamp(seconds - 11_644_473_600));
    date.filter(DateTime::is_valid).map(|date| date.to_rfc3339()).unwrap_or_default()
}

/// The names of the attachments.
fn attachments<F: Read + Seek>(container: &mut CompoundFile<F>) -> Vec<String> {
    let storages: Vec<String> = container
        .read_root_storage()
        .filter(|entry| entry.is_storage() && entry.name().starts_with("__attach_version1.0_"))
        .map(|entry| format!("/{}", entry.name()))
        .collect();
    let name = |storage: &String| text(container, storage, "3707").or_else(|| text(container, storage, "3704"));
    storages.iter().filter_map(name).filter(|name| !name.trim().is_empty()).collect()
}

/// Reads a mail.
pub(super) fn read<F: Read + Seek>(
    mut container: CompoundFile<F>,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    builder.media_type(MediaType::Outlook);
    builder.if_empty("The mail has no text.");
    let mut get = |tag| text(&mut container, "", tag).unwrap_or_default();
    let subject = get("0037");
    let (name, address) = (get("0C1A"), get("0C1F"));
    let from = if address.contains('@') && address != name { format!("{name} <{address}>") } else { name };
    let (to, cc, id, replied, body) = (get("0E04"), get("0E03"), get("1035"), get("1042"), get("1000"));
    let date = date(&mut container);
    builder.title(&subject);
    let mut head = String::new();
    for (property, label, value) in
        [("from", "From", &from), ("to", "To", &to), ("cc", "Cc", &cc), ("date", "Date", &date)]
    {
        if !value.trim().is_empty() {
            head.push_str(&format!("{label}: {value}\n"));
            builder.property(property, value);
        }
    }
    builder.property("subject", &subject);
    // Mails of the internet name them without brackets.
    for (property, id) in [("messageId", &id), ("inReplyTo", &replied)] {
        builder.property(property, id.trim().trim_start_matches('<').trim_end_matches('>'));
    }
    builder.property("attachments", &attachments(&mut container).join(", "));
    builder.push(ElementKind::Heading { level: 1 }, &subject)?;
    builder.push(ElementKind::Paragraph, &head)?;
    let page = property(&mut container, "", "10130102").or_else(|| property(&mut container, "", "1013001F"));
    if let Some(page) = page {
        let declared = fixed(&mut container, INTERNET_CODEPAGE).map(encoding_of);
        html::read_into(&encoding::decode_declared(page, declared)?, builder)?;
    } else if !body.trim().is_empty() {
        mail::plain(builder, &body)?;
    } else if let Some(text) = property(&mut container, "", "10090102").and_then(|packed| unpacked_rtf(&packed)) {
        rtf::read(&text, builder)?;
    }
    Ok(())
}

/// The text that the dictionary of packed bodies begins with.
const DICTIONARY: &[u8] =
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \
\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \
\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

/// A body in Rich Text Format, which Outlook packs (MS-OXRTFCP).
fn unpacked_rtf(packed: &[u8]) -> Option<Vec<u8>> {
    let size = u32::from_le_bytes(packed.get(4..8)?.try_into().ok()?) as usize;
    let size = size.min(MAX_PROPERTY_BYTES as usize);
    match packed.get(8..12)? {
        b"MELA" => return packed.get(16..).map(|rest| rest[..rest.len().min(size)].to_vec()),
        b"LZFu" => {}
        _ => return None,
    }
    let mut window = [b' '; 4096];
    window[..DICTIONARY.len()].copy_from_slice(DICTIONARY);
    let mut at = DICTIONARY.len();
    let mut text = Vec::new();
    let mut rest = packed.get(16..)?.iter().copied();
    'all: while text.len() < size {
        let Some(flags) = rest.next() else { break };
        for bit in 0..8 {
            if flags >> bit & 1 == 0 {
                let Some(byte) = rest.next() else { break 'all };
                window[at] = byte;
                at = (at + 1) % 4096;
                text.push(byte);
                continue;
            }
            let (Some(high), Some(low)) = (rest.next(), rest.next()) else { break 'all };
            let reference = u16::from_be_bytes([high, low]);
            let offset = usize::from(reference >> 4);
            if offset == at {
                break 'all;
            }
            for step in 0..usize::from(reference & 15) + 2 {
                let byte = window[(offset + step) % 4096];
                window[at] = byte;
                at = (at + 1) % 4096;
                text.push(byte);
            }
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;
    use crate::formats::builder::build;
    use crate::{Document, ExtractLimits};

    /// The document of a mail with these streams, and properties of fixed size.
    fn document(streams: &[(&str, &[u8])], fixed: &[([u8; 4], u64)]) -> Document {
        let mut container = CompoundFile::create(Cursor::new(Vec::new())).expect("in memory");
        let mut properties = vec![0; 32];
        for (tag, value) in fixed {
            properties.extend([&tag[..], &[0; 4], &value.to_le_bytes()].concat());
        }
        container.create_storage("/__attach_version1.0_#00000000").expect("in memory");
        for (name, bytes) in streams.iter().copied().chain([("__properties_version1.0", &properties[..])]) {
            container.create_stream(format!("/{name}")).expect("in memory").write_all(bytes).expect("in memory");
        }
        build(&ExtractLimits::default(), |builder| read(container, builder)).expect("a mail")
    }

    #[test]
    fn sent_mail_has_its_date_and_the_letters_of_its_code_page() {
        // Two Chinese characters in Shift JIS; the mail has no header of the internet.
        let streams: [(&str, &[u8]); 5] = [
            ("__substg1.0_0037001E", b"\x93\xFA\x96\x7B"),
            ("__substg1.0_1000001E", b"\x93\xFA\x96\x7B"),
            ("__substg1.0_1035001E", b"<one@example.org>"),
            ("__substg1.0_1042001E", b"<none@example.org>"),
            ("__attach_version1.0_#00000000/__substg1.0_3707001E", b"plan.pdf"),
        ];
        // 1 November 2025, nine o'clock.
        let sent = (1_761_987_600 + 11_644_473_600) * 10_000_000;
        let mail = document(&streams, &[(MESSAGE_CODEPAGE, 932), (SUBMIT_TIME, sent)]);
        assert_eq!(mail.text, "\u{65E5}\u{672C}\n\nDate: 2025-11-01T09:00:00Z\n\n\u{65E5}\u{672C}");
        for (name, value) in [
            ("date", "2025-11-01T09:00:00Z"),
            ("messageId", "one@example.org"),
            ("inReplyTo", "none@example.org"),
            ("attachments", "plan.pdf"),
        ] {
            assert_eq!(mail.properties[name], value);
        }
    }

    #[test]
    fn code_pages_of_other_families_are_known() {
        for (page, name) in [(65_001, "UTF-8"), (936, "GBK"), (950, "Big5"), (28_592, "ISO-8859-2"), (20_866, "KOI8-R")]
        {
            assert_eq!(rtf_encodings::encoding(page).name(), name);
        }
    }
}
