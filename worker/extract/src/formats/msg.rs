//! Mails of Outlook: an OLE container with a stream for each property.

use std::io::{Read, Seek};

use cfb::CompoundFile;
use encoding_rs::{Encoding, WINDOWS_1252};

use super::builder::DocumentBuilder;
use super::{html, mail, rtf};
use crate::encoding;
use crate::{ElementKind, FileError, MediaType};

/// Most bytes of a property.
const MAX_PROPERTY_BYTES: u64 = 64 << 20;

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

/// The code page that the mail names, from the properties of fixed size.
fn codepage<F: Read + Seek>(container: &mut CompoundFile<F>) -> Option<&'static Encoding> {
    let mut bytes = Vec::new();
    container.open_stream("/__properties_version1.0").ok()?.take(1 << 20).read_to_end(&mut bytes).ok()?;
    let entry = bytes.get(32..)?.chunks_exact(16).find(|entry| entry[..4] == [0x03, 0x00, 0xFD, 0x3F])?;
    let page = u32::from_le_bytes(entry[8..12].try_into().ok()?);
    Encoding::for_label(format!("windows-{page}").as_bytes())
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
    let (to, cc, id, body) = (get("0E04"), get("0E03"), get("1035"), get("1000"));
    let date = get("007D").lines().find_map(|line| line.strip_prefix("Date: ").map(str::to_owned)).unwrap_or_default();
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
    builder.property("messageId", &id);
    builder.push(ElementKind::Heading { level: 1 }, &subject)?;
    builder.push(ElementKind::Paragraph, &head)?;
    let page = property(&mut container, "", "10130102").or_else(|| property(&mut container, "", "1013001F"));
    if let Some(page) = page {
        html::read_into(&encoding::decode(page)?, builder)?;
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
