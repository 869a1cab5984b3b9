//! Workbooks and texts that are embedded in slides (MS-PPT): each is a container of its own within the stream.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use cfb::CompoundFile;
use flate2::read::ZlibDecoder;

use super::archive::compression_limit;
use super::builder::{DocumentBuilder, build};
use super::doc::number32;
use super::ppt::{Record, records};
use super::{doc, xls};
use crate::{ElementKind, ExtractLimits, FileError, FileErrorKind};

/// Kinds of records.
const OBJECT_LIST: u16 = 1033;
const EMBEDDED: u16 = 4044;
const OBJECT: u16 = 4035;
const STORAGE: u16 = 4113;
/// The instance of a storage that is packed.
const PACKED: u16 = 1;

/// The embedded objects of a presentation.
pub(super) struct Objects {
    /// The identifiers of their storages, by those of objects.
    storages: HashMap<u32, u32>,
    limits: ExtractLimits,
    /// Bytes that the remaining objects may have.
    remaining_bytes: u64,
}

impl Objects {
    /// Reads the list of objects of a document.
    pub(super) fn new(document: &[u8], limits: &ExtractLimits) -> Self {
        let lists = records(document).filter(|record| record.kind == OBJECT_LIST);
        let embedded = lists.flat_map(|list| records(list.content)).filter(|record| record.kind == EMBEDDED);
        let objects = embedded.flat_map(|one| records(one.content)).filter(|record| record.kind == OBJECT);
        // Aspect and type come first, and the kind of program between both.
        let storage = |object: Record<'_>| Some((number32(object.content, 8)?, number32(object.content, 16)?));
        Self {
            storages: objects.filter_map(storage).collect(),
            limits: ExtractLimits { partial: false, ..limits.clone() },
            remaining_bytes: limits.max_expanded_bytes,
        }
    }

    /// Adds the text of an object, whose storage a function finds by its identifier. Charts and pictures have none.
    pub(super) fn add<'a>(
        &mut self,
        id: u32,
        record: impl FnOnce(u32) -> Option<Record<'a>>,
        builder: &mut DocumentBuilder,
    ) -> Result<(), FileError> {
        // An object that several slides show stands once.
        let Some(storage) = self.storages.remove(&id).and_then(record).filter(|record| record.kind == STORAGE) else {
            return Ok(());
        };
        match self.text(storage) {
            Ok(text) => builder.push(ElementKind::Aside, &text),
            Err(failure) if failure.kind == FileErrorKind::Empty => Ok(()),
            Err(_) => {
                builder.warn("An embedded object was not read.".to_owned());
                Ok(())
            }
        }
    }

    fn text(&mut self, storage: Record<'_>) -> Result<String, FileError> {
        let damaged = |_| FileError::new(FileErrorKind::Corrupt, "The embedded object is damaged.");
        let mut bytes = Vec::new();
        let content = match storage.instance {
            // Behind the number of its bytes.
            PACKED => {
                let limit = self.remaining_bytes.min(compression_limit(storage.content.len() as u64));
                let packed = storage.content.get(4..).unwrap_or_default();
                ZlibDecoder::new(packed).take(limit).read_to_end(&mut bytes).map_err(damaged)?;
                self.remaining_bytes -= bytes.len() as u64;
                &bytes[..]
            }
            _ => storage.content,
        };
        let mut container = CompoundFile::open(Cursor::new(content)).map_err(damaged)?;
        let document = build(&self.limits, |builder| {
            if let Some(name) = xls::stream_name(&container) {
                return xls::read(&mut container, name, &self.limits, builder);
            }
            match container.exists("/WordDocument") {
                true => doc::read(&mut container, builder),
                false => Ok(()),
            }
        })?;
        Ok(document.text)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::super::ppt;
    use super::*;

    const LIST: u16 = 0xF;

    fn record(kind: u16, head: u16, parts: &[&[u8]]) -> Vec<u8> {
        let data = parts.concat();
        let length = u32::try_from(data.len()).expect("short");
        [&head.to_le_bytes()[..], &kind.to_le_bytes(), &length.to_le_bytes(), &data].concat()
    }

    fn numbers(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    fn container(streams: &[(&str, &[u8])]) -> Vec<u8> {
        let mut container = CompoundFile::create(Cursor::new(Vec::new())).expect("in memory");
        for (name, content) in streams {
            container.create_stream(name).expect("in memory").write_all(content).expect("in memory");
        }
        container.flush().expect("in memory");
        container.into_inner().into_inner()
    }

    /// A workbook whose only cell says `Tides`.
    fn workbook() -> Vec<u8> {
        let record = |kind: u16, data: &[u8]| {
            let length = u16::try_from(data.len()).expect("short");
            [&kind.to_le_bytes()[..], &length.to_le_bytes(), data].concat()
        };
        let start = record(0x0809, &[0, 6, 5, 0]);
        let head = |place: u32| {
            let sheet = [&place.to_le_bytes()[..], b"\0\0\x07\0Heights"].concat();
            [start.clone(), record(0x0085, &sheet), record(0x000A, &[])].concat()
        };
        let place = u32::try_from(head(0).len()).expect("short");
        let text = record(0x0204, b"\0\0\0\0\0\0\x05\0\0Tides");
        container(&[("/Workbook", &[head(place), start.clone(), text, record(0x000A, &[])].concat())])
    }

    /// A presentation of one slide with two objects, of which the second has these bytes as its packed storage.
    fn presentation(second: &[u8]) -> Vec<u8> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
        packed.write_all(second).expect("in memory");
        let packed = packed.finish().expect("in memory");
        let object = |id: u32, storage: u32| {
            record(EMBEDDED, LIST, &[&record(OBJECT, 1, &[&numbers(&[1, 0, id, 0, storage, 0])])])
        };
        let reference = |id: u32| record(3009, 0, &[&numbers(&[id])]);
        let parts = [
            // The document: the list of objects, and that of slides, of which the identifier is the number of its record.
            record(
                1000,
                LIST,
                &[
                    &record(OBJECT_LIST, LIST, &[&object(7, 3), &object(8, 4)]),
                    &record(4080, LIST, &[&record(1011, 0, &[&numbers(&[2, 0, 0, 256, 0])])]),
                ],
            ),
            record(1006, LIST, &[&record(0xF00D, LIST, &[&reference(7), &reference(8), &reference(7)])]),
            record(STORAGE, 0, &[&container(&[("/CONTENTS", b"a picture")])]),
            record(STORAGE, PACKED << 4, &[&numbers(&[second.len() as u32]), &packed]),
        ];
        let places: Vec<_> = (0..parts.len()).map(|n| parts[..n].iter().map(Vec::len).sum::<usize>() as u32).collect();
        let stream = parts.concat();
        let directory = record(6002, 0, &[&numbers(&[1 | 4 << 20]), &numbers(&places)]);
        let place = stream.len() as u32;
        let edit = record(4085, 0, &[&numbers(&[0, 0, 0, place, 1, 0, 0])]);
        let user = numbers(&[20, 0, 0, 0, place + directory.len() as u32]);
        container(&[("/PowerPoint Document", &[stream, directory, edit].concat()), ("/Current User", &user)])
    }

    fn read(second: &[u8]) -> (Result<String, FileErrorKind>, Vec<String>) {
        let limits = ExtractLimits::default();
        let file = presentation(second);
        let mut warnings = Vec::new();
        let document = build(&limits, |builder| {
            builder.push(ElementKind::Paragraph, "before")?;
            ppt::read(&mut CompoundFile::open(Cursor::new(file)).expect("a container"), &limits, builder)
        });
        let text = document.map(|document| {
            warnings = document.warnings;
            document.text.trim_end().to_owned()
        });
        (text.map_err(|failure| failure.kind), warnings)
    }

    #[test]
    fn embedded_workbooks_are_asides() {
        assert_eq!(read(&workbook()), (Ok("before\n\nHeights\n\nTides".to_owned()), Vec::new()));
    }

    #[test]
    fn damaged_objects_are_warnings() {
        let expected = vec!["An embedded object was not read.".to_owned()];
        assert_eq!(read(b"no container"), (Ok("before".to_owned()), expected));
    }
}
