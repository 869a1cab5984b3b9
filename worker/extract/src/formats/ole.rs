use crate::{FileError, FileErrorKind};

/// The error for an OLE container. Office stores password-protected documents in one, in a stream of a known name; all others are
/// formats from before 2007.
pub(super) fn file_error(bytes: &[u8]) -> FileError {
    let protected: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    if bytes.windows(protected.len()).any(|window| window == protected) {
        return FileError::new(FileErrorKind::Encrypted, "The document is protected by a password.");
    }
    FileError::new(
        FileErrorKind::UnsupportedMedia,
        "Office formats of before 2007 are not read; save it as DOCX or PDF.",
    )
}
