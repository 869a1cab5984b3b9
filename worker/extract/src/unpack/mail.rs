//! Attachments of mails.

use std::io::Cursor;

use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders, mailbox::mbox::MessageIterator};

use super::{each::Each, stop::Stop};

/// Calls `member` with the content and name of each attachment of a mail. A mail within the mail is one of them.
pub(super) fn each(mail: &[u8], member: &mut Each<'_>) -> Result<(), Stop> {
    let mail = MessageParser::default().parse(mail).ok_or_else(Stop::no_mail)?;
    attachments(&mail, member)
}

/// Calls `member` with the content of each attachment of each mail, under the number of the mail, which is its page in the text.
pub(super) fn each_of_mailbox(mailbox: &[u8], member: &mut Each<'_>) -> Result<(), Stop> {
    for (mail, number) in MessageIterator::new(Cursor::new(mailbox)).flatten().zip(1_u32..) {
        match MessageParser::default().parse(mail.contents()) {
            Some(mail) => attachments(&mail, &mut |content, name| member(content, &format!("{number}/{name}")))?,
            None => member(Err(Stop::no_mail().member_fault()?), &number.to_string())?,
        }
    }
    Ok(())
}

fn attachments(mail: &Message<'_>, member: &mut Each<'_>) -> Result<(), Stop> {
    for (attachment, number) in mail.attachments().zip(1_u32..) {
        let name = attachment.attachment_name().map_or_else(|| default_name(attachment, number), str::to_owned);
        // Slashes in the name of an attachment are no folders.
        let name = name.replace(['/', '\\'], "_");
        let is_encoded = attachment
            .content_transfer_encoding()
            .is_some_and(|encoding| encoding.trim().eq_ignore_ascii_case("base64"));
        // What cannot be decoded is given as it is, which serves a text at most.
        match attachment.is_encoding_problem && is_encoded {
            true => member(Err(Stop::corrupt().member_fault()?), &name)?,
            false => member(Ok(&mut attachment.contents()), &name)?,
        }
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
