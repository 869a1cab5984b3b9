use crate::{FileError, FileErrorKind};

/// Why an OLE container is not read. Office puts password-protected documents into one, under a stream of a known name;
/// anything else in one is a format of before 2007.
pub(super) fn refuse(bytes: &[u8]) -> FileError {
    let protected: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    if bytes.windows(protected.len()).any(|window| window == protected) {
        return FileError::new(FileErrorKind::Encrypted, "The document is protected by a password.");
    }
    FileError::new(
        FileErrorKind::UnsupportedMedia,
        "Office formats of before 2007 are not read; save it as DOCX or PDF.",
    )
}
