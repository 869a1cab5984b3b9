//! Members of a 7z container.

use std::{io::Read, rc::Rc};

use sevenz_rust2::{Archive, ArchiveReader, Error, Password};

use super::{
    budget::{Budgets, LimitedMember},
    stop::Stop,
    zip::Source,
};
use crate::formats::compression_limit;

/// Most memory of a decoder, in kilobytes. Writers choose up to 1.5 GB for what unpacks the same with 64 MB.
const MAX_DECODER_KB: usize = 256 * 1024;

/// Calls `member` with the content and path of each file in a container, of which there may be `max_members`.
pub(super) fn each(
    mut source: &mut dyn Source,
    budgets: &Budgets,
    max_members: usize,
    member: &mut dyn FnMut(&mut dyn Read, &str) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let password = Password::empty();
    let archive = Archive::read_with_memory_limit(&mut source, &password, MAX_DECODER_KB)
        .map_err(|error| fault(error, budgets))?;
    let files = archive.files.iter().filter(|file| !file.is_directory()).count();
    if files > max_members {
        return Err(Stop::too_many());
    }
    let packed: u64 = archive.pack_sizes().iter().sum();
    let mut reader = ArchiveReader::from_archive(archive, source, password);
    reader.set_thread_count(1);
    let mut stop = None;
    let outcome = reader.for_each_entries(|entry, content| {
        if entry.is_directory() || entry.is_anti_item() {
            return Ok(true);
        }
        // Files are packed together, so that only the sum of their packed sizes is known.
        let mut content = LimitedMember {
            reader: content,
            remaining: compression_limit(packed),
            budget: Rc::clone(&budgets.members),
        };
        match member(&mut content, entry.name()) {
            Ok(()) => Ok(true),
            Err(reason) => {
                stop = Some(reason);
                Ok(false)
            }
        }
    });
    match (stop, outcome) {
        (Some(stop), _) => Err(stop),
        (None, Err(error)) => Err(fault(error, budgets)),
        (None, Ok(_)) => Ok(()),
    }
}

fn fault(error: Error, budgets: &Budgets) -> Stop {
    match error {
        Error::PasswordRequired | Error::MaybeBadPassword(_) => Stop::encrypted(),
        // Ciphers are a method of compression for the format.
        Error::UnsupportedCompressionMethod(method) if method.to_ascii_uppercase().contains("AES") => Stop::encrypted(),
        Error::UnsupportedCompressionMethod(_) | Error::Unsupported(_) | Error::ExternalUnsupported => {
            Stop::unsupported()
        }
        Error::MaxMemLimited { .. } => Stop::out_of_memory(),
        Error::Io(error, _) => budgets.fault(&error),
        _ => Stop::corrupt(),
    }
}
