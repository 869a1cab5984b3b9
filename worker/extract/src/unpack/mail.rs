//! Attachments of a mail.

use std::io::Read;

use mail_parser::{MessageParser, MessagePart, MimeHeaders};

use super::stop::Stop;

/// Calls `member` with the content and name of each attachment of a mail. A mail within the mail is one of them, as it is.
pub(super) fn each(mail: &[u8], member: &mut dyn FnMut(&mut dyn Read, &str) -> Result<(), Stop>) -> Result<(), Stop> {
    let mail = MessageParser::default().parse(mail).ok_or_else(Stop::no_mail)?;
    for (attachment, number) in mail.attachments().zip(1_u32..) {
        let name = attachment.attachment_name().map_or_else(|| default_name(attachment, number), str::to_owned);
        // Slashes in the name of an attachment are no folders.
        member(&mut attachment.contents(), &name.replace(['/', '\\'], "_"))?;
    }
    Ok(())
}

/// The name of an attachment without one.
fn default_name(attachment: &MessagePart<'_>, number: u32) -> String {
    let kind = attachment.content_type();
    let is_image = kind.is_some_and(|kind| kind.c_type.eq_ignore_ascii_case("image"));
    let subtype = kind.and_then(|kind| kind.c_subtype.as_deref()).unwrap_or_default().to_ascii_lowercase();
    let extension = match subtype.as_str() {
        _ if attachment.message().is_some() => "eml",
        "plain" => "txt",
        "html" => "html",
        "pdf" => "pdf",
        "calendar" => "ics",
        "jpeg" if is_image => "jpg",
        "png" | "gif" if is_image => subtype.as_str(),
        _ => "bin",
    };
    format!("attachment-{number}.{extension}")
}
