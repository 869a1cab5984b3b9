//! The parts of a zip container whose end, which lists them, is missing.

use std::io::{Cursor, Read, Write};

use flate2::bufread::DeflateDecoder;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::archive::compression_limit;
use super::input::Input;
use crate::{ExtractLimits, FileError, FileErrorKind};

/// What a part begins with.
const SIGNATURE: &[u8] = b"PK\x03\x04";
/// Bytes of a part's header, before its name.
const HEADER_BYTES: usize = 30;
/// The methods of compression.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// A container of the parts that can be read, found by their own headers. The last one may be cut short.
pub(super) fn parts(input: &Input, limits: &ExtractLimits) -> Result<Input, FileError> {
    let bytes = input.bytes()?;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut remaining = limits.max_expanded_bytes;
    let mut from = 0;
    while let Some(place) = find(&bytes[from..]) {
        let part = Part::read(&bytes[from + place..], remaining);
        from += place + part.as_ref().map_or(SIGNATURE.len(), |part| part.packed_bytes.max(SIGNATURE.len()));
        let Some(part) = part else { continue };
        remaining -= part.content.len() as u64;
        let written = zip.start_file(part.name, options).is_ok() && zip.write_all(&part.content).is_ok();
        if !written {
            // A repeated name.
            continue;
        }
    }
    let damaged = |_| FileError::new(FileErrorKind::Corrupt, "The file's container is cut short or damaged.");
    let bytes = zip.finish().map_err(damaged)?.into_inner();
    Ok(Input::Memory(Cursor::new(bytes.into())))
}

fn find(bytes: &[u8]) -> Option<usize> {
    bytes.windows(SIGNATURE.len()).position(|window| window == SIGNATURE)
}

struct Part {
    name: String,
    content: Vec<u8>,
    /// Bytes of its header and packed content.
    packed_bytes: usize,
}

impl Part {
    /// The part whose header `bytes` begin with. The sizes that a header names are often those of a writer that did not know yet.
    fn read(bytes: &[u8], remaining: u64) -> Option<Self> {
        let number = |place: usize| Some(u16::from_le_bytes(bytes.get(place..place + 2)?.try_into().ok()?));
        let (flags, method) = (number(6)?, number(8)?);
        let size = u32::from_le_bytes(bytes.get(18..22)?.try_into().ok()?) as usize;
        let name_end = HEADER_BYTES + usize::from(number(26)?);
        let name = String::from_utf8_lossy(bytes.get(HEADER_BYTES..name_end)?).into_owned();
        let start = name_end + usize::from(number(28)?);
        let packed = bytes.get(start..)?;
        // Protected content is none.
        if flags & 1 != 0 || name.ends_with('/') {
            return None;
        }
        let (content, used) = match method {
            STORED => {
                let content = packed[..size.min(packed.len())].to_vec();
                (content, size.min(packed.len()))
            }
            DEFLATED => inflated(packed, remaining),
            _ => return None,
        };
        Some(Self { name, content, packed_bytes: start + used })
    }
}

/// The content of a deflated stream as far as it can be read, and its packed bytes.
fn inflated(packed: &[u8], remaining: u64) -> (Vec<u8>, usize) {
    let mut decoder = DeflateDecoder::new(packed);
    let mut content = Vec::new();
    let limit = remaining.min(compression_limit(packed.len() as u64));
    // What comes before the damage is content.
    let _cut_short = decoder.by_ref().take(limit).read_to_end(&mut content);
    let used = usize::try_from(decoder.total_in()).unwrap_or(packed.len());
    (content, used)
}
