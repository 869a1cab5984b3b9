//! Members of a zip container.

use std::io::{self, BufReader, Read, Seek};

use crc32fast::Hasher;
use zip::{CompressionMethod, ZipArchive, read::ZipFile, result::ZipError};

use super::{
    budget::{Budgets, LimitedMember},
    compressed,
    each::Each,
    kind::DOCUMENT_PARTS,
    stop::Stop,
};
use crate::formats::compression_limit;

/// A source of bytes with positions.
pub(super) trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// Calls `member` with the content and path of each file in a container, of which there may be `max_members`. False: it is an
/// office document, and nothing was called.
pub(super) fn each(
    mut source: &mut dyn Source,
    budgets: &Budgets,
    max_members: usize,
    member: &mut Each<'_>,
) -> Result<bool, Stop> {
    let mut archive = ZipArchive::new(&mut source).map_err(|error| fault(error, budgets))?;
    if DOCUMENT_PARTS.iter().any(|part| archive.index_for_name(part).is_some()) {
        return Ok(false);
    }
    if archive.file_names_raw().filter(|name| !name.ends_with(b"/")).count() > max_members {
        return Err(Stop::too_many());
    }
    // Taken once: the library finds a name by its number in as many steps.
    let names: Vec<Vec<u8>> = archive.file_names_raw().map(<[u8]>::to_vec).collect();
    for (index, name) in names.iter().enumerate() {
        let outcome = entry(&mut archive, index, budgets, member);
        match outcome.map_err(|error| fault(error, budgets)) {
            Ok(done) => done?,
            Err(stop) => member(Err(stop.member_fault()?), &String::from_utf8_lossy(name))?,
        }
    }
    Ok(true)
}

/// Calls `member` with an entry. The outer error is that of the entry before it is read, the inner one that of the call.
fn entry<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
    budgets: &Budgets,
    member: &mut Each<'_>,
) -> Result<Result<(), Stop>, ZipError> {
    let raw = archive.by_index_raw(index)?;
    if !raw.is_file() {
        return Ok(Ok(()));
    }
    if raw.compression() == CompressionMethod::ZSTD && !raw.encrypted() {
        let path = path(&raw);
        let whole = Checked { crc32: raw.crc32(), hasher: Hasher::new(), reader: () };
        let (packed, size) = (raw.compressed_size(), raw.size());
        let content = whole.of(compressed::Frames::new(BufReader::new(raw)));
        return Ok(call(content, packed, size, &path, budgets, member));
    }
    drop(raw);
    let file = archive.by_index(index)?;
    let (packed, size, path) = (file.compressed_size(), file.size(), path(&file));
    Ok(call(file, packed, size, &path, budgets, member))
}

fn call(
    content: impl Read,
    packed: u64,
    size: u64,
    path: &str,
    budgets: &Budgets,
    member: &mut Each<'_>,
) -> Result<(), Stop> {
    if size > budgets.total {
        return member(Err(Stop::member_too_large().member_fault()?), path);
    }
    member(Ok(&mut LimitedMember { reader: content, remaining: compression_limit(packed) }), path)
}

fn path<R: Read>(file: &ZipFile<'_, R>) -> String {
    match file.name() {
        Ok(name) => name.into_owned(),
        Err(_) => String::from_utf8_lossy(file.name_raw()).into_owned(),
    }
}

/// A reader that fails at its end if the content has another checksum than the container says.
struct Checked<R> {
    crc32: u32,
    hasher: Hasher,
    reader: R,
}

impl Checked<()> {
    fn of<R: Read>(self, reader: R) -> Checked<R> {
        Checked { crc32: self.crc32, hasher: self.hasher, reader }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        if read == 0 && !buffer.is_empty() && self.hasher.clone().finalize() != self.crc32 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

fn fault(error: ZipError, budgets: &Budgets) -> Stop {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => Stop::encrypted(),
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => Stop::unsupported(),
        ZipError::Io(error) => budgets.fault(&error),
        _ => Stop::corrupt(),
    }
}
