//! Archives and mails to their members: a walk within limits, in the child process.

mod budget;
mod gzip;
mod kind;
mod mail;
mod outlook;
mod path;
mod seven_zip;
mod stop;
mod tar;
mod zip;

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Cursor, Read, Seek},
    rc::Rc,
};

use serde::{Deserialize, Serialize};

use budget::{Budgets, Limited};
pub use kind::{ArchiveKind, archive_kind};
use stop::Stop;

use super::{ExtractLimits, FileError, FileInfo, SNIFF_BYTES};

/// Most bytes of a member in one message.
const MESSAGE_BYTES: usize = 64 * 1024;

/// The limits of unpacking one file, beside [`ExtractLimits`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct UnpackLimits {
    /// Members. More is `too_large`.
    pub max_members: u32,
    /// How deep archives within archives are unpacked; deeper ones are members as they are. 1: only the file itself.
    pub max_depth: u32,
}

/// A message of the child to its parent: members in order, each with its bytes, then the end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum UnpackMessage {
    /// A member begins. The path is relative, clean and unique.
    Member(String),
    /// The next bytes of the member.
    Bytes(Vec<u8>),
    /// The member is complete.
    MemberEnd,
    /// All members are complete.
    End,
    /// The file is no archive, despite its first bytes: an office document in a zip container.
    NotAnArchive,
    /// The file is at fault; members before are void.
    Failed(FileError),
}

/// Sends the members of a file.
///
/// # Errors
/// When a message cannot be sent. Faults of the file are messages.
pub(super) fn unpack(
    mut file: File,
    info: &FileInfo,
    limits: &ExtractLimits,
    unpack: UnpackLimits,
    send: &mut dyn FnMut(UnpackMessage) -> io::Result<()>,
) -> io::Result<()> {
    let budgets = Rc::new(Budgets::new(limits.max_expanded_bytes));
    let mut walk = Walk { limits: unpack, budgets, paths: HashSet::new(), send };
    match walk.file(&mut file, info) {
        Ok(true) => (walk.send)(UnpackMessage::End),
        Ok(false) => (walk.send)(UnpackMessage::NotAnArchive),
        Err(Stop::File(error)) => (walk.send)(UnpackMessage::Failed(error)),
        Err(Stop::Send(error)) => Err(error),
    }
}

struct Walk<'a> {
    limits: UnpackLimits,
    budgets: Rc<Budgets>,
    /// The paths of the members so far.
    paths: HashSet<String>,
    send: &'a mut dyn FnMut(UnpackMessage) -> io::Result<()>,
}

impl Walk<'_> {
    /// Unpacks the file itself. False: it is no archive.
    fn file(&mut self, file: &mut File, info: &FileInfo) -> Result<bool, Stop> {
        let mut head = Vec::with_capacity(SNIFF_BYTES);
        (&*file).take(SNIFF_BYTES as u64).read_to_end(&mut head).map_err(|error| self.budgets.fault(&error))?;
        file.rewind().map_err(|error| self.budgets.fault(&error))?;
        match archive_kind(&head, &info.file_name, info.declared_type.as_deref()) {
            Some(ArchiveKind::Zip) => self.zip(&mut io::BufReader::new(file), "", 1),
            Some(ArchiveKind::Tar) => self.tar(file, "", 1).map(|()| true),
            Some(ArchiveKind::Gzip) => self.gzip(file, &info.file_name, "", 1).map(|()| true),
            Some(ArchiveKind::SevenZip) => self.seven_zip(&mut io::BufReader::new(file), "", 1).map(|()| true),
            Some(ArchiveKind::Outlook) => self.outlook(file),
            Some(ArchiveKind::Mail) => self.mail(file).map(|()| true),
            None => Ok(false),
        }
    }

    fn zip(&mut self, source: &mut dyn zip::Source, within: &str, depth: u32) -> Result<bool, Stop> {
        let budgets = Rc::clone(&self.budgets);
        let room = (self.limits.max_members as usize).saturating_sub(self.paths.len());
        zip::each(source, &budgets, room, &mut |reader, path| self.member(reader, path, within, depth))
    }

    fn tar(&mut self, reader: &mut dyn Read, within: &str, depth: u32) -> Result<(), Stop> {
        let budgets = Rc::clone(&self.budgets);
        tar::each(reader, &budgets, &mut |reader, path| self.member(reader, path, within, depth))
    }

    /// The content of the stream `name` is a member, or a tape archive with members: both are one level.
    fn gzip(&mut self, reader: &mut dyn Read, name: &str, within: &str, depth: u32) -> Result<(), Stop> {
        let mut content = gzip::content(reader, &self.budgets);
        let head = self.head(&mut content)?;
        let is_tar = archive_kind(&head, "", None) == Some(ArchiveKind::Tar);
        let mut whole = Cursor::new(head).chain(content);
        if is_tar {
            return self.tar(&mut whole, within, depth);
        }
        self.member(&mut whole, &gzip::content_name(name), within, depth)
    }

    fn seven_zip(&mut self, source: &mut dyn zip::Source, within: &str, depth: u32) -> Result<(), Stop> {
        let budgets = Rc::clone(&self.budgets);
        let room = (self.limits.max_members as usize).saturating_sub(self.paths.len());
        seven_zip::each(source, &budgets, room, &mut |reader, path| self.member(reader, path, within, depth))
    }

    fn outlook(&mut self, file: &mut File) -> Result<bool, Stop> {
        let budgets = Rc::clone(&self.budgets);
        outlook::each(io::BufReader::new(file), &budgets, &mut |reader, name| self.member(reader, name, "", 1))
    }

    fn mail(&mut self, file: &mut File) -> Result<(), Stop> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| self.budgets.fault(&error))?;
        mail::each(&bytes, &mut |reader, name| self.member(reader, name, "", 1))
    }

    /// Sends a member, or the members of an archive within the archive. `path` is as the archive has it, `within` the path of
    /// the archive at `depth`.
    fn member(&mut self, reader: &mut dyn Read, path: &str, within: &str, depth: u32) -> Result<(), Stop> {
        let Some(path) = path::clean(path) else { return Ok(()) };
        let head = self.head(reader)?;
        let kind = archive_kind(&head, &path, None).filter(|_| depth < self.limits.max_depth);
        let path = format!("{within}{path}");
        let mut whole = Cursor::new(head).chain(reader);
        let inner = format!("{path}/");
        match kind {
            Some(ArchiveKind::Zip) => {
                // A zip is read from its end, so it is held in memory, within the limit of expanded bytes.
                let mut bytes = Vec::new();
                let read = Limited::new(&mut whole, &self.budgets.expanded).read_to_end(&mut bytes);
                read.map_err(|error| self.budgets.fault(&error))?;
                if !self.zip(&mut Cursor::new(bytes.as_slice()), &inner, depth + 1)? {
                    self.send_member(&mut bytes.as_slice(), path)?;
                }
                Ok(())
            }
            Some(ArchiveKind::SevenZip) => {
                let mut bytes = Vec::new();
                let read = Limited::new(&mut whole, &self.budgets.expanded).read_to_end(&mut bytes);
                read.map_err(|error| self.budgets.fault(&error))?;
                self.seven_zip(&mut Cursor::new(bytes.as_slice()), &inner, depth + 1)
            }
            Some(ArchiveKind::Tar) => self.tar(&mut whole, &inner, depth + 1),
            Some(ArchiveKind::Gzip) => self.gzip(&mut whole, &path, &inner, depth + 1),
            // A mail within an archive is a member: its text would be lost otherwise.
            Some(ArchiveKind::Mail | ArchiveKind::Outlook) | None => self.send_member(&mut whole, path),
        }
    }

    /// The first bytes of a reader.
    fn head(&self, reader: &mut dyn Read) -> Result<Vec<u8>, Stop> {
        let mut head = Vec::new();
        reader.take(SNIFF_BYTES as u64).read_to_end(&mut head).map_err(|error| self.budgets.fault(&error))?;
        Ok(head)
    }

    fn send_member(&mut self, reader: &mut dyn Read, path: String) -> Result<(), Stop> {
        if self.paths.len() >= self.limits.max_members as usize {
            return Err(Stop::too_many());
        }
        let path = path::unique(path, &self.paths);
        self.paths.insert(path.clone());
        (self.send)(UnpackMessage::Member(path)).map_err(Stop::Send)?;
        let mut reader = Limited::new(reader, &self.budgets.members);
        loop {
            let mut bytes = Vec::with_capacity(MESSAGE_BYTES);
            let read = reader.by_ref().take(MESSAGE_BYTES as u64).read_to_end(&mut bytes);
            read.map_err(|error| self.budgets.fault(&error))?;
            if bytes.is_empty() {
                return (self.send)(UnpackMessage::MemberEnd).map_err(Stop::Send);
            }
            (self.send)(UnpackMessage::Bytes(bytes)).map_err(Stop::Send)?;
        }
    }
}

#[cfg(test)]
mod tests;
