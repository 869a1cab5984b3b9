//! The title and the author in an OLE container (MS-OLEPS).

use std::io::{Read, Seek};

use cfb::CompoundFile;
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::builder::DocumentBuilder;

/// Most bytes of the stream.
const MAX_BYTES: u64 = 1 << 20;
/// Identifiers of properties.
const CODEPAGE: u32 = 1;
const TITLE: u32 = 2;
const AUTHOR: u32 = 4;
/// Kinds of values: texts in the code page, and in UTF-16.
const TEXT: u32 = 0x1E;
const WIDE_TEXT: u32 = 0x1F;

/// Sets the title and the author.
pub(super) fn add<F: Read + Seek>(container: &mut CompoundFile<F>, builder: &mut DocumentBuilder) {
    let mut bytes = Vec::new();
    let Ok(stream) = container.open_stream("/\u{5}SummaryInformation") else { return };
    if stream.take(MAX_BYTES).read_to_end(&mut bytes).is_ok() {
        builder.title(&text(&bytes, TITLE).unwrap_or_default());
        builder.property("author", &text(&bytes, AUTHOR).unwrap_or_default());
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The place of a property in the first set.
fn place(bytes: &[u8], id: u32) -> Option<usize> {
    let set = number(bytes, 44)? as usize;
    let count = number(bytes, set.checked_add(4)?)?.min(1_000) as usize;
    let entry = (0..count).map(|n| set + 8 + n * 8).find(|&entry| number(bytes, entry) == Some(id))?;
    set.checked_add(number(bytes, entry + 4)? as usize)
}

fn text(bytes: &[u8], id: u32) -> Option<String> {
    let at = place(bytes, id)?;
    let (kind, length) = (number(bytes, at)?, number(bytes, at.checked_add(4)?)? as usize);
    let value = |length: usize| bytes.get(at + 8..at.checked_add(8)?.checked_add(length)?);
    let text = match kind {
        WIDE_TEXT => encoding_rs::UTF_16LE.decode_without_bom_handling(value(length.checked_mul(2)?)?).0.into_owned(),
        TEXT => {
            let page = place(bytes, CODEPAGE).and_then(|at| number(bytes, at.checked_add(4)?)).unwrap_or(1252) & 0xFFFF;
            let encoding = match page {
                65001 => UTF_8,
                page => Encoding::for_label(format!("windows-{page}").as_bytes()).unwrap_or(WINDOWS_1252),
            };
            encoding.decode_without_bom_handling(value(length)?).0.into_owned()
        }
        _ => return None,
    };
    Some(text.trim_end_matches('\0').to_owned())
}
