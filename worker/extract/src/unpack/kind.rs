//! Which files are archives, by their first bytes.

use crate::{MediaType, sniff};

/// A kind of file with members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// A zip container. One with an office document turns out to be no archive when it is opened.
    Zip,
    /// A tape archive.
    Tar,
    /// A compressed stream: one member, or a tape archive.
    Compressed(Compression),
    /// A 7z container.
    SevenZip,
    /// A mail of Outlook, as [`Mail`](Self::Mail). An OLE container with something else turns out to be none when it is opened.
    Outlook,
    /// A mail, whose attachments are its members; its text stays with the mail.
    Mail,
    /// Mails one after the other, with the attachments of all.
    Mailbox,
}

impl ArchiveKind {
    /// Whether the file also has a text of its own, beside its members.
    #[must_use]
    pub const fn has_text(self) -> bool {
        matches!(self, Self::Outlook | Self::Mail | Self::Mailbox)
    }
}

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the formats")]
pub enum Compression {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

/// The first bytes of the kinds that have such.
const SIGNATURES: [(&[u8], ArchiveKind); 7] = [
    (b"PK\x03\x04", ArchiveKind::Zip),
    (b"PK\x05\x06", ArchiveKind::Zip),
    (&[0x1F, 0x8B, 0x08], ArchiveKind::Compressed(Compression::Gzip)),
    (b"\xFD7zXZ\0", ArchiveKind::Compressed(Compression::Xz)),
    (&[0x28, 0xB5, 0x2F, 0xFD], ArchiveKind::Compressed(Compression::Zstd)),
    (b"7z\xBC\xAF\x27\x1C", ArchiveKind::SevenZip),
    (&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1], ArchiveKind::Outlook),
];

/// The parts that make a zip container a document: of Office Open XML, and of OpenDocument and EPUB.
pub(super) const DOCUMENT_PARTS: [&str; 2] = ["[Content_Types].xml", "mimetype"];

/// The name of the first part of a zip container, behind the lengths in its header.
fn first_part(head: &[u8]) -> Option<&[u8]> {
    const LENGTH: std::ops::Range<usize> = 26..28;
    const NAME: usize = 30;
    let length = head.strip_prefix(b"PK\x03\x04").and(head.get(LENGTH))?;
    head.get(NAME..NAME + usize::from(u16::from_le_bytes(length.try_into().ok()?)))
}

/// The first bytes of the blocks of bzip2: of content, and of none.
const BZIP2_BLOCKS: [&[u8]; 2] = [&[0x31, 0x41, 0x59, 0x26, 0x53, 0x59], &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90]];

/// The kind by the first [`SNIFF_BYTES`](crate::SNIFF_BYTES) bytes; `None`: no archive. Only mails, which look like any text,
/// are recognised by their name or declared type, too.
#[must_use]
pub fn archive_kind(head: &[u8], file_name: &str, declared: Option<&str>) -> Option<ArchiveKind> {
    if let Some((_, kind)) = SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)) {
        // Most documents say at once that they are no archives.
        return Some(*kind).filter(|_| !DOCUMENT_PARTS.iter().any(|part| first_part(head) == Some(part.as_bytes())));
    }
    // After the size of the blocks.
    if head.starts_with(b"BZh") && BZIP2_BLOCKS.iter().any(|block| head[3..].get(1..7) == Some(block)) {
        return Some(ArchiveKind::Compressed(Compression::Bzip2));
    }
    if is_tar(head) {
        return Some(ArchiveKind::Tar);
    }
    match sniff(head, file_name, declared) {
        MediaType::Mail if !head.contains(&0) => Some(ArchiveKind::Mail),
        MediaType::Mailbox => Some(ArchiveKind::Mailbox),
        _ => None,
    }
}

/// Whether the first bytes or the name of a zip container say that it is a document: of Office, OpenDocument, or a book. One whose
/// list of parts is cut off does not say more.
pub(super) fn looks_like_document(head: &[u8], file_name: &str, declared: Option<&str>) -> bool {
    matches!(
        sniff(head, file_name, declared),
        MediaType::Docx
            | MediaType::Pptx
            | MediaType::Xlsx
            | MediaType::Xlsb
            | MediaType::Odt
            | MediaType::Odp
            | MediaType::Ods
            | MediaType::Epub
    )
}

/// The header of a tape archive: the sum of all its bytes, in octal digits, at this place of its 512 bytes.
const TAR_HEADER: usize = 512;
const TAR_SUM: std::ops::Range<usize> = 148..156;

/// Whether a header of a tape archive has the sum that it says. Archives of before POSIX have no other mark.
fn is_tar(head: &[u8]) -> bool {
    let Some(header) = head.get(..TAR_HEADER) else { return false };
    let digits = String::from_utf8_lossy(&header[TAR_SUM]);
    let digits = digits.trim_matches(['\0', ' ']);
    let Ok(declared) = u32::from_str_radix(digits, 8) else { return false };
    // The sum is taken with blanks in its own place.
    let blanks = TAR_SUM.len() as u32 * u32::from(b' ');
    let rest = || header[..TAR_SUM.start].iter().chain(&header[TAR_SUM.end..]);
    let unsigned = rest().map(|&byte| u32::from(byte)).sum::<u32>() + blanks;
    header[0] != 0 && declared == unsigned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_is_found_by_content_and_mail_by_name() {
        let mut old = tar::Header::new_old();
        old.set_path("a.txt").unwrap();
        old.set_cksum();
        let mut new = tar::Header::new_ustar();
        new.set_path("a.txt").unwrap();
        new.set_cksum();
        let mut other = *old.as_bytes();
        other[1] = b'x';
        let part = |name: &str| {
            let length = u16::try_from(name.len()).unwrap().to_le_bytes();
            [b"PK\x03\x04".as_slice(), &[0; 22], &length, &[0; 2], name.as_bytes(), b"<Types/>"].concat()
        };
        let mailbox = b"From a Sat\nFrom: a\nSubject: b\nDate: c\n\nx";
        for (head, name, declared, kind) in [
            (b"PK\x03\x04rest".as_slice(), "a.pdf", None, Some(ArchiveKind::Zip)),
            (b"PK\x05\x06", "empty.zip", None, Some(ArchiveKind::Zip)),
            (&part("mimetype"), "a.zip", None, None),
            (&part("[Content_Types].xml"), "noext", None, None),
            (&part("mimetypes.txt"), "a.zip", None, Some(ArchiveKind::Zip)),
            (&[0x1F, 0x8B, 0x08, 0], "noext", None, Some(ArchiveKind::Compressed(Compression::Gzip))),
            (b"BZh91AY&SYrest", "a", None, Some(ArchiveKind::Compressed(Compression::Bzip2))),
            (b"BZh9 is a text", "a", None, None),
            (b"\xFD7zXZ\0rest", "a", None, Some(ArchiveKind::Compressed(Compression::Xz))),
            (&[0x28, 0xB5, 0x2F, 0xFD, 0], "a", None, Some(ArchiveKind::Compressed(Compression::Zstd))),
            (old.as_bytes(), "noext", None, Some(ArchiveKind::Tar)),
            (new.as_bytes(), "noext", None, Some(ArchiveKind::Tar)),
            (&other, "noext", None, None),
            (mailbox, "inbox", None, Some(ArchiveKind::Mailbox)),
            (b"7z\xBC\xAF\x27\x1C\0", "a", None, Some(ArchiveKind::SevenZip)),
            (b"From: a\r\n", "a.EML", None, Some(ArchiveKind::Mail)),
            (b"From: a\r\n", "a", Some("message/rfc822; charset=x"), Some(ArchiveKind::Mail)),
            (b"From: a\r\n", "a.txt", Some("text/plain"), None),
            (b"words", "a.zip", Some("application/zip"), None),
            (b"\0\0", "a.eml", None, None),
            (b"", "", None, None),
        ] {
            assert_eq!(archive_kind(head, name, declared), kind, "{name} {declared:?}");
        }
    }
}
