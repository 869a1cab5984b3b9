//! Members of a tape archive.

use std::io::{self, Read};

use tar::Archive;

use super::{budget::Budgets, each::Each, stop::Stop};

/// Calls `member` with the content and path of each regular file, as they come. Links, devices and folders are no members.
pub(super) fn each(reader: &mut dyn Read, budgets: &Budgets, member: &mut Each<'_>) -> Result<(), Stop> {
    let mut archive = Archive::new(reader);
    let entries = archive.entries().map_err(|error| budgets.fault(&error))?;
    for entry in entries {
        let entry = entry.map_err(|error| budgets.fault(&error))?;
        let kind = entry.header().entry_type();
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let is_file = kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse();
        // Before POSIX a folder was a file whose name ends with a slash.
        if !is_file || path.ends_with('/') {
            continue;
        }
        let size = entry.size();
        if size > budgets.total {
            let error = Stop::member_too_large().member_fault()?;
            member(Err(error), &path)?;
            continue;
        }
        member(Ok(&mut Whole { reader: entry, remaining: size }), &path)?;
    }
    Ok(())
}

/// A reader that fails where its source ends too early: that of an archive which is cut short ends without an error.
struct Whole<R> {
    reader: R,
    remaining: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        if read == 0 && !buffer.is_empty() && self.remaining > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.remaining = self.remaining.saturating_sub(read as u64);
        Ok(read)
    }
}
