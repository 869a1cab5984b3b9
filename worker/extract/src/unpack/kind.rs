//! Which files are archives, by their first bytes.

/// A kind of file with members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// A zip container. One with an office document turns out to be no archive when it is opened.
    Zip,
    /// A tape archive.
    Tar,
    /// A gzip stream: one member, or a tape archive.
    Gzip,
    /// A 7z container.
    SevenZip,
    /// A mail of Outlook, as [`Mail`](Self::Mail). An OLE container with something else turns out to be none when it is opened.
    Outlook,
    /// A mail, whose attachments are its members; its text stays with the mail.
    Mail,
}

/// The byte offset of the magic of POSIX and GNU tar in a header.
const TAR_MAGIC: usize = 257;

/// The kind by the first [`SNIFF_BYTES`](crate::SNIFF_BYTES) bytes; `None`: no archive. Only a mail, which looks like any text,
/// is recognised by its name or declared type.
#[must_use]
pub fn archive_kind(head: &[u8], file_name: &str, declared: Option<&str>) -> Option<ArchiveKind> {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Some(ArchiveKind::Zip);
    }
    if head.starts_with(&[0x1F, 0x8B, 0x08]) {
        return Some(ArchiveKind::Gzip);
    }
    if head.starts_with(b"7z\xBC\xAF\x27\x1C") {
        return Some(ArchiveKind::SevenZip);
    }
    if head.starts_with(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]) {
        return Some(ArchiveKind::Outlook);
    }
    if head.get(TAR_MAGIC..).is_some_and(|rest| rest.starts_with(b"ustar")) {
        return Some(ArchiveKind::Tar);
    }
    let is_named = file_name.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("eml"));
    let declared = declared.and_then(|media_type| media_type.split(';').next()).unwrap_or_default();
    let is_mail = is_named || declared.trim().eq_ignore_ascii_case("message/rfc822");
    (is_mail && !head.contains(&0)).then_some(ArchiveKind::Mail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_is_found_by_content_and_mail_by_name() {
        let mut tar = vec![0; 512];
        tar[TAR_MAGIC..][..5].copy_from_slice(b"ustar");
        for (head, name, declared, kind) in [
            (b"PK\x03\x04rest".as_slice(), "a.pdf", None, Some(ArchiveKind::Zip)),
            (b"PK\x05\x06", "empty.zip", None, Some(ArchiveKind::Zip)),
            (&[0x1F, 0x8B, 0x08, 0], "noext", None, Some(ArchiveKind::Gzip)),
            (&tar, "noext", None, Some(ArchiveKind::Tar)),
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
