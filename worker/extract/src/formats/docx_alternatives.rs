//! Parts of a Word document in another format (`altChunk`): web pages, mails with a page (MHT), RTF, texts, further documents.

use std::io::Cursor;

use super::archive::Archive;
use super::builder::build;
use super::input::Input;
use super::{docx, html, mail, rtf};
use crate::encoding;
use crate::{ExtractLimits, FileError, FileErrorKind, MediaType, SNIFF_BYTES, sniff};

/// The text of such a part. A document in it is read without such parts of its own.
pub(super) fn text(bytes: Vec<u8>, name: &str, limits: &ExtractLimits) -> Result<String, FileError> {
    let head = &bytes[..bytes.len().min(SNIFF_BYTES)];
    let start = String::from_utf8_lossy(&head[..head.len().min(1024)]).trim_start().to_lowercase();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default();
    let kind = match extension.as_str() {
        _ if start.starts_with("mime-version:") => MediaType::Mail,
        "mht" | "mhtml" => MediaType::Mail,
        _ => sniff(head, name, None),
    };
    let document = match kind {
        MediaType::Docx | MediaType::Zip => build(limits, |builder| {
            let mut archive = Archive::open(Input::Memory(Cursor::new(bytes.into())), limits)?;
            let related = archive.relationships("")?;
            let main = related.into_iter().find(|part| part.kind == "officeDocument").map(|part| part.target);
            docx::read_parts(&mut archive, main.as_deref().unwrap_or("word/document.xml"), builder)
        })?,
        MediaType::Rtf => build(limits, |builder| rtf::read(&bytes, builder))?,
        MediaType::Mail => build(limits, |builder| mail::read(&bytes, builder))?,
        MediaType::Html => html::read(&encoding::decode(bytes)?, limits)?,
        MediaType::PlainText | MediaType::Xml if start.contains("<html") => {
            html::read(&encoding::decode(bytes)?, limits)?
        }
        MediaType::PlainText => return encoding::decode(bytes),
        _ => return Err(FileError::new(FileErrorKind::UnsupportedMedia, "No reader knows what is in this part.")),
    };
    Ok(document.text)
}
