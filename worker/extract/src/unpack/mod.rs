//! Archives and mails to their members: a walk within limits, in the child process.

mod budget;
mod compressed;
mod each;
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
use each::Each;
use kind::looks_like_document;
pub use kind::{ArchiveKind, Compression, archive_kind};
use stop::Stop;

use super::{ExtractLimits, FileError, FileInfo, SNIFF_BYTES};

/// Most bytes of a member in one message.
const MESSAGE_BYTES: usize = 64 * 1024;

/// The limits of unpacking one file, beside [`ExtractLimits`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct UnpackLimits {
    /// Members. More is `too_large`.
    pub max_members: u32,
    /// How deep archives and mails within archives and mails are unpacked; deeper ones are members as they are. 1: only the file
    /// itself.
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
    /// The member of this path cannot be read. Bytes of it that were sent are void; the other members are not.
    MemberFailed(String, FileError),
    /// All members are complete.
    End,
    /// The rest of the file cannot be read. The members before are complete.
    CutShort(FileError),
    /// The file is no archive, despite its first bytes: an office document in a zip container.
    NotAnArchive,
    /// A limit of the file is exceeded: members before are void.
    Failed(FileError),
}

impl UnpackMessage {
    /// The fault that the message tells.
    pub(super) fn error(&self) -> Option<FileError> {
        match self {
            Self::MemberFailed(_, error) | Self::CutShort(error) | Self::Failed(error) => Some(error.clone()),
            Self::Member(_) | Self::Bytes(_) | Self::MemberEnd | Self::End | Self::NotAnArchive => None,
        }
    }
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
    let mut walk = Walk { limits: unpack, budgets, members: 0, paths: HashSet::new(), send };
    match walk.file(&mut file, info) {
        Ok(true) => (walk.send)(UnpackMessage::End),
        Ok(false) => (walk.send)(UnpackMessage::NotAnArchive),
        Err(Stop::Fault(error)) => (walk.send)(UnpackMessage::CutShort(error)),
        Err(Stop::Limit(error)) => (walk.send)(UnpackMessage::Failed(error)),
        Err(Stop::Send(error)) => Err(error),
    }
}

struct Walk<'a> {
    limits: UnpackLimits,
    budgets: Rc<Budgets>,
    /// The number of members so far, also of those that cannot be read.
    members: u32,
    /// The paths of members and of archives within the archive.
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
            Some(ArchiveKind::Zip) => match self.zip(&mut io::BufReader::new(file), "", 1) {
                // Nothing was sent. The reader of documents may recover the parts.
                Err(Stop::Fault(_)) if looks_like_document(&head, &info.file_name, info.declared_type.as_deref()) => {
                    Ok(false)
                }
                unpacked => unpacked,
            },
            Some(ArchiveKind::Tar) => self.tar(file, "", 1).map(|()| true),
            Some(ArchiveKind::Compressed(kind)) => self.compressed(kind, file, &info.file_name, "", 1).map(|()| true),
            Some(ArchiveKind::SevenZip) => self.seven_zip(&mut io::BufReader::new(file), "", 1).map(|()| true),
            Some(ArchiveKind::Outlook) => self.outlook(file),
            Some(kind @ (ArchiveKind::Mail | ArchiveKind::Mailbox)) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(|error| self.budgets.fault(&error))?;
                self.attachments(&bytes, kind, "", 1)
            }
            None => Ok(false),
        }
    }

    fn zip(&mut self, source: &mut dyn zip::Source, within: &str, depth: u32) -> Result<bool, Stop> {
        let (budgets, room) = (Rc::clone(&self.budgets), self.room());
        zip::each(source, &budgets, room, &mut |content, path| self.member(content, path, within, depth))
    }

    fn tar(&mut self, reader: &mut dyn Read, within: &str, depth: u32) -> Result<(), Stop> {
        let budgets = Rc::clone(&self.budgets);
        tar::each(reader, &budgets, &mut |content, path| self.member(content, path, within, depth))
    }

    /// The content of the stream `name` is a member, or a tape archive with members: both are one level.
    fn compressed(
        &mut self,
        kind: Compression,
        reader: &mut dyn Read,
        name: &str,
        within: &str,
        depth: u32,
    ) -> Result<(), Stop> {
        let mut content = compressed::content(kind, reader, &self.budgets);
        let (head, end) = head(&mut content);
        let is_tar = archive_kind(&head, "", None) == Some(ArchiveKind::Tar);
        let mut whole = Cursor::new(head).chain(end).chain(content);
        if is_tar {
            return self.tar(&mut whole, within, depth);
        }
        self.member(Ok(&mut whole), &compressed::content_name(name), within, depth)
    }

    fn seven_zip(&mut self, source: &mut dyn zip::Source, within: &str, depth: u32) -> Result<(), Stop> {
        let (budgets, room) = (Rc::clone(&self.budgets), self.room());
        seven_zip::each(source, &budgets, room, &mut |content, path| self.member(content, path, within, depth))
    }

    fn outlook(&mut self, file: &mut File) -> Result<bool, Stop> {
        let budgets = Rc::clone(&self.budgets);
        outlook::each(io::BufReader::new(file), &budgets, &mut |content, name| self.member(content, name, "", 1))
    }

    /// The attachments of a mail, or of all mails of a mailbox. An OLE container without a mail has none: false.
    fn attachments(&mut self, bytes: &[u8], kind: ArchiveKind, within: &str, depth: u32) -> Result<bool, Stop> {
        let budgets = Rc::clone(&self.budgets);
        let member: &mut Each<'_> = &mut |content, name| self.member(content, name, within, depth);
        match kind {
            ArchiveKind::Outlook => outlook::each(Cursor::new(bytes), &budgets, member),
            ArchiveKind::Mailbox => mail::each_of_mailbox(bytes, member).map(|()| true),
            _ => mail::each(bytes, member).map(|()| true),
        }
    }

    /// The number of members that may still come.
    fn room(&self) -> usize {
        self.limits.max_members.saturating_sub(self.members) as usize
    }

    /// Sends a member, or the members of an archive within the archive; where that cannot be read, its failure. `path` is as the
    /// archive has it, `within` the path of the archive at `depth`.
    fn member(
        &mut self,
        content: Result<&mut dyn Read, FileError>,
        path: &str,
        within: &str,
        depth: u32,
    ) -> Result<(), Stop> {
        let Some(path) = path::clean(path) else { return Ok(()) };
        let path = path::unique(format!("{within}{path}"), &self.paths);
        self.paths.insert(path.clone());
        let sent = match content {
            Ok(reader) => self.content(reader, &path, depth),
            Err(error) => self.count().and(Err(Stop::Fault(error))),
        };
        match sent {
            Err(Stop::Fault(error)) => (self.send)(UnpackMessage::MemberFailed(path, error)).map_err(Stop::Send),
            sent => sent,
        }
    }

    fn content(&mut self, reader: &mut dyn Read, path: &str, depth: u32) -> Result<(), Stop> {
        let (head, end) = head(reader);
        let kind = archive_kind(&head, path, None).filter(|_| depth < self.limits.max_depth);
        let is_document = kind == Some(ArchiveKind::Zip) && looks_like_document(&head, path, None);
        let mut whole = Cursor::new(head).chain(end).chain(reader);
        let inner = format!("{path}/");
        match kind {
            Some(ArchiveKind::Zip) => {
                let bytes = self.held(&mut whole)?;
                let is_archive = match self.zip(&mut Cursor::new(bytes.as_slice()), &inner, depth + 1) {
                    Err(Stop::Fault(_)) if is_document => false,
                    unpacked => unpacked?,
                };
                if is_archive { Ok(()) } else { self.send_member(&mut bytes.as_slice(), path) }
            }
            Some(ArchiveKind::SevenZip) => {
                let bytes = self.held(&mut whole)?;
                self.seven_zip(&mut Cursor::new(bytes.as_slice()), &inner, depth + 1)
            }
            Some(ArchiveKind::Tar) => self.tar(&mut whole, &inner, depth + 1),
            Some(ArchiveKind::Compressed(kind)) => self.compressed(kind, &mut whole, path, &inner, depth + 1),
            // The text of a mail is in the mail itself, which is a member, too.
            Some(kind @ (ArchiveKind::Mail | ArchiveKind::Mailbox | ArchiveKind::Outlook)) => {
                let bytes = self.held(&mut whole)?;
                self.send_member(&mut bytes.as_slice(), path)?;
                match self.attachments(&bytes, kind, &inner, depth + 1) {
                    // The reader of the mail says what is wrong with it.
                    Ok(_) | Err(Stop::Fault(_)) => Ok(()),
                    Err(stop) => Err(stop),
                }
            }
            None => self.send_member(&mut whole, path),
        }
    }

    /// All bytes of an archive that is read from its end, or of a mail, within the limit of expanded bytes.
    fn held(&self, reader: &mut dyn Read) -> Result<Vec<u8>, Stop> {
        let mut bytes = Vec::new();
        let read = Limited::new(reader, &self.budgets.expanded).read_to_end(&mut bytes);
        read.map_err(|error| self.budgets.fault(&error))?;
        Ok(bytes)
    }

    fn count(&mut self) -> Result<(), Stop> {
        if self.members >= self.limits.max_members {
            return Err(Stop::too_many());
        }
        self.members += 1;
        Ok(())
    }

    fn send_member(&mut self, reader: &mut dyn Read, path: &str) -> Result<(), Stop> {
        self.count()?;
        (self.send)(UnpackMessage::Member(path.to_owned())).map_err(Stop::Send)?;
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

/// The first bytes of a reader, and a reader of what follows at once: nothing, or the error that ended them.
fn head(reader: &mut dyn Read) -> (Vec<u8>, Failing) {
    let mut head = Vec::new();
    let read = reader.take(SNIFF_BYTES as u64).read_to_end(&mut head);
    (head, Failing(read.err()))
}

/// A reader of an error, or of nothing.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[cfg(test)]
mod tests;
