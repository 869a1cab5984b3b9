//! Members of a 7z container.

use std::io::Read;

use sevenz_rust2::{Archive, ArchiveEntry, BlockDecoder, Error, Password};

use super::{
    budget::{Budgets, LimitedMember},
    compressed::MAX_DECODER_KB,
    each::Each,
    stop::Stop,
    zip::Source,
};
use crate::formats::compression_limit;

/// Calls `member` with the content and path of each file in a container, of which there may be `max_members`.
pub(super) fn each(
    mut source: &mut dyn Source,
    budgets: &Budgets,
    max_members: usize,
    member: &mut Each<'_>,
) -> Result<(), Stop> {
    let password = Password::empty();
    let memory_kb = MAX_DECODER_KB as usize;
    let archive =
        Archive::read_with_memory_limit(&mut source, &password, memory_kb).map_err(|error| fault(error, budgets))?;
    if archive.files.iter().filter(|file| is_file(file)).count() > max_members {
        return Err(Stop::too_many());
    }
    let packed: u64 = archive.pack_sizes().iter().sum();
    for index in 0..archive.blocks.len() {
        let block = BlockDecoder::new_with_memory_limit(1, memory_kb, index, &archive, &password, &mut source);
        let mut walk = Block { packed, given: 0, stop: None, budgets, member };
        let outcome = block.for_each_entries(&mut |entry, content| Ok(walk.entry(entry, content)));
        let Block { given, stop, .. } = walk;
        let error = match (stop, outcome) {
            (Some(stop), _) => stop.member_fault()?,
            (None, Err(error)) => fault(error, budgets).member_fault()?,
            (None, Ok(_)) => continue,
        };
        // Files of a block are packed together: the ones behind the damage cannot be read.
        let of_block = archive.files.iter().zip(&archive.stream_map.file_block_index);
        let files = of_block.filter(|(file, block)| **block == Some(index) && is_file(file));
        for (file, _) in files.skip(given) {
            member(Err(error.clone()), file.name())?;
        }
    }
    let without_block = archive.files.iter().zip(&archive.stream_map.file_block_index);
    for (file, _) in without_block.filter(|(file, block)| block.is_none() && is_file(file)) {
        member(Ok(&mut std::io::empty()), file.name())?;
    }
    Ok(())
}

fn is_file(entry: &ArchiveEntry) -> bool {
    !entry.is_directory() && !entry.is_anti_item()
}

/// The walk through files that are packed together.
struct Block<'a, 'b> {
    /// Packed bytes of all blocks: those of a file are not known.
    packed: u64,
    /// The number of files that `member` was called with.
    given: usize,
    /// Why the walk cannot go on.
    stop: Option<Stop>,
    budgets: &'a Budgets,
    member: &'a mut Each<'b>,
}

impl Block<'_, '_> {
    /// Calls `member` with a file. False: the walk ends.
    fn entry(&mut self, entry: &ArchiveEntry, content: &mut dyn Read) -> bool {
        if !is_file(entry) {
            return true;
        }
        let limit = compression_limit(self.packed).min(self.budgets.total);
        // A file is unpacked also to skip it, so a bomb ends its block.
        if entry.size() > limit {
            self.stop = Some(Stop::member_too_large());
            return false;
        }
        self.given += 1;
        match (self.member)(Ok(&mut LimitedMember { reader: content, remaining: limit }), entry.name()) {
            Ok(()) => true,
            Err(stop) => {
                self.stop = Some(stop);
                false
            }
        }
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
