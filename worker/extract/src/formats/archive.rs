//! Reads parts of a zip container within a limit of expanded bytes.

use std::collections::HashMap;
use std::io::{BufReader, Read};

use quick_xml::Reader;
use quick_xml::events::Event;
use zip::ZipArchive;
use zip::result::ZipError;

use super::input::Input;
use super::markup::{attribute, malformed};
use crate::encoding;
use crate::{ExtractLimits, FileError, FileErrorKind};

/// Markup compresses to a fifth or, if very repetitive, a fiftieth. A higher ratio indicates a zip bomb.
const MAX_COMPRESSION_RATIO: u64 = 200;
/// Parts below this size are not checked for their ratio.
const RATIO_CHECK_MIN_BYTES: u64 = 16 << 20;

/// Most bytes that a part may expand to, by its packed size.
pub(crate) fn compression_limit(packed: u64) -> u64 {
    packed.saturating_mul(MAX_COMPRESSION_RATIO).max(RATIO_CHECK_MIN_BYTES)
}

/// A zip container.
pub(super) struct Archive {
    zip: ZipArchive<BufReader<Input>>,
    /// The parts by their names as [`normal`] spells them: writers disagree about case, slashes and escapes.
    parts: HashMap<String, usize>,
    /// Expanded bytes that the remaining parts may have.
    remaining_bytes: u64,
    /// Whether what comes before the damage of a part is a part.
    keeps_damaged: bool,
    /// The first damage of a part.
    damage: Option<FileError>,
}

/// A part that another one names.
#[derive(Clone, Debug)]
pub(super) struct Relationship {
    /// The identifier within the naming part.
    pub(super) id: String,
    /// The last word of its type.
    pub(super) kind: String,
    /// The name of the part.
    pub(super) target: String,
}

impl Archive {
    pub(super) fn open(input: Input, limits: &ExtractLimits) -> Result<Self, FileError> {
        let zip = ZipArchive::new(BufReader::new(input)).map_err(file_error)?;
        let mut parts = HashMap::with_capacity(zip.len());
        for (place, name) in zip.file_names_raw().enumerate() {
            parts.insert(normal(&String::from_utf8_lossy(name)), place);
        }
        Ok(Self { zip, parts, remaining_bytes: limits.max_expanded_bytes, keeps_damaged: false, damage: None })
    }

    /// Sets whether what comes before the damage of a part is a part.
    pub(super) fn keep_damaged(&mut self, keeps_damaged: bool) {
        self.keeps_damaged = keeps_damaged;
    }

    /// The damage of a part that was kept.
    pub(super) fn damage(&mut self) -> Option<FileError> {
        self.damage.take()
    }

    /// Whether there is a part of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.parts.contains_key(&normal(name))
    }

    /// Fails if the parts say that they expand to more than the limit, for readers that expand parts themselves.
    pub(super) fn check_size(&mut self) -> Result<(), FileError> {
        let mut sum = 0_u64;
        for place in 0..self.zip.len() {
            let part = self.zip.by_index_raw(place).map_err(file_error)?;
            if part.size() > compression_limit(part.compressed_size()) {
                return Err(too_large());
            }
            sum = sum.saturating_add(part.size());
        }
        if sum > self.remaining_bytes { Err(too_large()) } else { Ok(()) }
    }

    /// The text of a part, or `None` if there is no part of this name.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, FileError> {
        self.bytes(name)?.map(|bytes| encoding::decode_declared(bytes, None)).transpose()
    }

    /// The first characters of a part, which are not counted.
    pub(super) fn head(&mut self, name: &str) -> Result<Option<String>, FileError> {
        let Some(&place) = self.parts.get(&normal(name)) else { return Ok(None) };
        let mut bytes = Vec::new();
        let part = self.zip.by_index(place).map_err(file_error)?;
        // A damaged part is an error of its reader.
        let _incomplete = part.take(4096).read_to_end(&mut bytes);
        Ok(Some(encoding::wide(&bytes).unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned())))
    }

    /// The bytes of a part, or `None` if there is no part of this name.
    ///
    /// Sizes are counted while expanding, because the container's own figures are untrusted.
    pub(super) fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, FileError> {
        let Some(&place) = self.parts.get(&normal(name)) else { return Ok(None) };
        let part = self.zip.by_index(place).map_err(file_error)?;
        let limit = self.remaining_bytes.min(compression_limit(part.compressed_size()));
        let mut bytes = Vec::new();
        let read = part.take(limit + 1).read_to_end(&mut bytes).map_err(super::failures::unreadable);
        let damage = match read {
            Ok(_) => (bytes.len() as u64 > limit).then(too_large),
            Err(damage) => Some(damage),
        };
        if let Some(damage) = damage {
            if !self.keeps_damaged {
                return Err(damage);
            }
            self.damage.get_or_insert(damage);
            bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        self.remaining_bytes -= bytes.len() as u64;
        Ok(Some(bytes))
    }

    /// The parts that a part names, within the container; those of the package itself for an empty name.
    pub(super) fn relationships(&mut self, part: &str) -> Result<Vec<Relationship>, FileError> {
        let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
        let Some(xml) = self.text(&format!("{folder}/_rels/{name}.rels"))? else { return Ok(Vec::new()) };
        let mut reader = Reader::from_str(&xml);
        let mut found = Vec::new();
        loop {
            match reader.read_event().map_err(malformed)? {
                Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == "Relationship" => {
                    let is_external = attribute(&tag, "TargetMode").is_some_and(|mode| mode == "External");
                    let (Some(target), Some(kind)) = (attribute(&tag, "Target"), attribute(&tag, "Type")) else {
                        continue;
                    };
                    if !is_external {
                        let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
                        let id = attribute(&tag, "Id").unwrap_or_default();
                        found.push(Relationship { id, kind, target: resolved(folder, &target) });
                    }
                }
                Event::Eof => return Ok(found),
                _ => {}
            }
        }
    }
}

/// The name of a part as seen from a folder.
pub(super) fn resolved(folder: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    let target = target.split('#').next().unwrap_or_default();
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => folder.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The one spelling of a name under which it is looked up.
fn normal(name: &str) -> String {
    let name = name.replace('\\', "/");
    let name = name.trim_start_matches("./").trim_start_matches('/');
    let decoded = percent_decoded(name);
    decoded.to_lowercase()
}

fn percent_decoded(name: &str) -> String {
    if !name.contains('%') {
        return name.to_owned();
    }
    let bytes = name.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while place < bytes.len() {
        let digits = (bytes[place] == b'%').then(|| name.get(place + 1..place + 3)).flatten();
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                place += 3;
            }
            None => {
                decoded.push(bytes[place]);
                place += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn too_large() -> FileError {
    FileError::new(FileErrorKind::TooLarge, "The file expands to more bytes than one file may have.")
}

fn file_error(error: ZipError) -> FileError {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => {
            FileError::new(FileErrorKind::Encrypted, "The file is protected by a password.")
        }
        ZipError::Io(error) => super::failures::unreadable(error),
        _ => FileError::new(FileErrorKind::Corrupt, "The file's container is cut short or damaged."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_are_resolved() {
        assert_eq!(resolved("word", "media/a.png"), "word/media/a.png");
        assert_eq!(resolved("ppt/slides", "../charts/c.xml"), "ppt/charts/c.xml");
        assert_eq!(resolved("word", "/xl/a.xml#b"), "xl/a.xml");
        assert_eq!(resolved("a", r"..\..\..\b.xml"), "b.xml");
        assert_eq!(normal(r"\Word\Document%202.xml"), "word/document 2.xml");
    }
}
