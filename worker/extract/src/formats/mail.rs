//! Mails: headers as properties, the best alternative of the body, quoted mails and signatures beside it.

use std::borrow::Cow;
use std::io::Cursor;
use std::sync::LazyLock;

use mail_parser::mailbox::mbox::MessageIterator;
use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::builder::DocumentBuilder;
use super::failures::too_many_pages;
use super::html;
use crate::encoding;
use crate::{ElementKind, ExtractLimits, FileError, FileErrorKind, MediaType};

/// Reads the headers that a document has, and those of parts.
static PARSER: LazyLock<MessageParser> =
    LazyLock::new(|| MessageParser::new().with_minimal_headers().with_message_ids().default_header_ignore());

/// Reads a mail.
pub(super) fn read(bytes: &[u8], builder: &mut DocumentBuilder) -> Result<(), FileError> {
    let ended = with_header_end(bytes);
    let message = PARSER.parse(&*ended).ok_or_else(no_mail)?;
    builder.media_type(MediaType::Mail);
    builder.if_empty("The mail has no text.");
    add(builder, &message, true)?;
    if builder.is_empty() || is_malformed(&message) {
        as_it_is(builder, bytes)?;
    }
    Ok(())
}

fn is_malformed(message: &Message<'_>) -> bool {
    message.parts.iter().all(|part| part.is_empty())
}

/// Reads a mail whose parts are malformed as the text that it is.
fn as_it_is(builder: &mut DocumentBuilder, mail: &[u8]) -> Result<(), FileError> {
    let raw = encoding::decode(mail.to_vec())?;
    let (_, body) = raw.split_once("\n\n").or_else(|| raw.split_once("\r\n\r\n")).unwrap_or_default();
    plain(builder, body)
}

/// Reads a mailbox: each mail is a page.
pub(super) fn read_mailbox(
    bytes: &[u8],
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    builder.media_type(MediaType::Mailbox);
    builder.if_empty("The mailbox has no mails with text.");
    let mut count = 0;
    for mail in MessageIterator::new(Cursor::new(bytes)) {
        let Ok(mail) = mail else { continue };
        count += 1;
        if count > limits.max_pages {
            count -= 1;
            builder.skip(too_many_pages())?;
            break;
        }
        builder.page(count);
        match PARSER.parse(&*with_header_end(mail.contents())) {
            Some(message) => {
                add(builder, &message, false)?;
                if is_malformed(&message) {
                    as_it_is(builder, mail.contents())?;
                }
            }
            None => builder.warn(format!("Mail {count} was not read.")),
        }
    }
    builder.page_count(count);
    Ok(())
}

/// A mail whose header ends with an empty line, where it ends with one of white space: such a line continues the header, unless no
/// field follows it.
fn with_header_end(mail: &[u8]) -> Cow<'_, [u8]> {
    let mut start = 0;
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        let end = start + line.len();
        if content.is_empty() {
            break;
        }
        if content.iter().all(|byte| matches!(byte, b' ' | b'\t')) && !is_header(&mail[end..]) {
            return Cow::Owned([&mail[..start], &line[content.len()..], &mail[end..]].concat());
        }
        start = end;
    }
    Cow::Borrowed(mail)
}

/// Whether a header goes on: with a field, a continued one, or the empty line at its end.
fn is_header(rest: &[u8]) -> bool {
    if rest.first().is_none_or(|byte| byte.is_ascii_whitespace()) {
        return true;
    }
    let name = rest.iter().position(|byte| !(b'!'..=b'~').contains(byte) || *byte == b':');
    name.is_some_and(|length| length > 0 && rest[length] == b':')
}

fn no_mail() -> FileError {
    FileError::new(FileErrorKind::Corrupt, "The mail has no readable header.")
}

fn add(builder: &mut DocumentBuilder, message: &Message<'_>, is_only: bool) -> Result<(), FileError> {
    let subject = message.subject().unwrap_or_default();
    let mut head = String::new();
    let lines = [
        ("from", "From", message.from().map(people)),
        ("to", "To", message.to().map(people)),
        ("cc", "Cc", message.cc().map(people)),
        ("date", "Date", message.date().map(|date| date.to_rfc3339())),
    ];
    for (name, label, value) in lines {
        let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
        head.push_str(&format!("{label}: {value}\n"));
        if is_only {
            builder.property(name, &value);
        }
    }
    if is_only {
        builder.title(subject);
        builder.property("subject", subject);
        builder.property("messageId", message.message_id().unwrap_or_default());
        builder.property("inReplyTo", message.in_reply_to().as_text().unwrap_or_default());
        let attachments: Vec<_> = message.attachments().filter_map(MimeHeaders::attachment_name).collect();
        builder.property("attachments", &attachments.join(", "));
    }
    builder.push(ElementKind::Heading { level: 1 }, subject)?;
    builder.push(ElementKind::Paragraph, &head)?;
    body(builder, message)
}

/// Names and addresses.
fn people(addresses: &Address<'_>) -> String {
    let shown = addresses.iter().map(|person| match (person.name(), person.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => String::new(),
    });
    shown.filter(|person| !person.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Adds the parts of the body. A part that exists as text and as page is read as the page, which has structure; if the page says
/// much less than the text, as the text.
fn body(builder: &mut DocumentBuilder, message: &Message<'_>) -> Result<(), FileError> {
    let words = |text: &str| text.split_whitespace().count();
    let parts = if message.html_body_count() >= message.text_body_count() {
        message.html_bodies().collect::<Vec<_>>()
    } else {
        message.text_bodies().collect()
    };
    if parts.iter().all(|part| is_blank(part)) {
        return lost_body(builder, message);
    }
    for (place, part) in parts.iter().enumerate() {
        match &part.body {
            PartType::Html(page) => {
                let alternative = message.text_bodies().nth(place).and_then(|part| match &part.body {
                    PartType::Text(text) => Some(text),
                    _ => None,
                });
                let read = html::read(page, &ExtractLimits::default()).map_or(0, |page| words(&page.text));
                match alternative {
                    Some(text) if read * 2 < words(text) => plain(builder, text)?,
                    _ => html::read_into(page, builder)?,
                }
            }
            PartType::Text(text) => plain(builder, text)?,
            _ => {}
        }
    }
    Ok(())
}

fn is_blank(part: &MessagePart<'_>) -> bool {
    match &part.body {
        PartType::Text(text) | PartType::Html(text) => text.trim().is_empty(),
        _ => true,
    }
}

/// Adds the texts that are no attachments, where none is a body: the parts of a mail that is cut short, or has no good boundaries.
fn lost_body(builder: &mut DocumentBuilder, message: &Message<'_>) -> Result<(), FileError> {
    for part in &message.parts {
        let is_attachment = part.content_disposition().is_some_and(|disposition| disposition.is_attachment());
        if is_attachment || part.attachment_name().is_some() {
            continue;
        }
        match &part.body {
            PartType::Html(page) => html::read_into(page, builder)?,
            PartType::Text(text) => plain(builder, text)?,
            _ => {}
        }
    }
    Ok(())
}

/// Adds a plain body: its own text, then quoted mails and signature beside it.
pub(super) fn plain(builder: &mut DocumentBuilder, text: &str) -> Result<(), FileError> {
    let mut paragraph = String::new();
    let mut quoted = String::new();
    let mut lines = text.lines();
    let (mut is_signature, mut is_rest) = (false, false);
    let flush = |builder: &mut DocumentBuilder, paragraph: &mut String, is_aside: bool| {
        let text = std::mem::take(paragraph);
        match is_aside {
            true => builder.push(ElementKind::Aside, &text),
            false => builder.push(ElementKind::Paragraph, &text),
        }
    };
    while let Some(line) = lines.next() {
        let is_quoted = line.starts_with('>');
        let is_first_of_two = || paragraph.is_empty() && begins_introduction(line, lines.clone());
        let introduces = !is_quoted && (introduces(line, lines.clone()) || is_first_of_two());
        // A mail that is quoted without marks goes on to the end.
        is_rest = is_rest || begins_quoted_mail(line, lines.clone());
        if line.trim_end() == "--" {
            flush(builder, &mut paragraph, is_signature)?;
            is_signature = true;
        }
        if is_rest {
            flush(builder, &mut paragraph, is_signature)?;
            quoted.push_str(line);
            quoted.push('\n');
            continue;
        }
        if !is_quoted && !introduces && !quoted.is_empty() {
            flush(builder, &mut quoted, true)?;
        }
        if is_quoted || introduces {
            flush(builder, &mut paragraph, is_signature)?;
            quoted.push_str(line.trim_start_matches(['>', ' ']));
            quoted.push('\n');
        } else if line.trim().is_empty() {
            flush(builder, &mut paragraph, is_signature)?;
        } else {
            paragraph.push_str(line);
            paragraph.push('\n');
        }
    }
    flush(builder, &mut quoted, true)?;
    flush(builder, &mut paragraph, is_signature)
}

/// Whether a line introduces the quotation that follows it, perhaps after blank lines.
fn introduces<'a>(line: &str, mut next: impl Iterator<Item = &'a str>) -> bool {
    line.trim_end().ends_with(':')
        && next.find(|line| !line.trim().is_empty()).is_some_and(|next| next.starts_with('>'))
}

/// Whether a line is the first of two that introduce a quotation: it has a date.
fn begins_introduction<'a>(line: &str, mut next: impl Iterator<Item = &'a str>) -> bool {
    let has_date = line.split(|c: char| !c.is_ascii_digit()).any(|number| matches!(number.len(), 2 | 4));
    has_date && next.next().is_some_and(|second| !second.starts_with('>') && introduces(second, next))
}

/// Whether a line separates a mail from the one that it replies to, as Outlook does: two fields of that one follow.
fn begins_quoted_mail<'a>(line: &str, next: impl Iterator<Item = &'a str>) -> bool {
    let line = line.trim();
    let is_named = line.starts_with("-----")
        && line.ends_with("-----")
        && line.contains(char::is_alphabetic)
        // Marks of signed and encrypted texts.
        && !line.starts_with("-----BEGIN")
        && !line.starts_with("-----END");
    let is_rule = line.len() >= 20 && line.bytes().all(|byte| byte == b'_');
    let is_field = |line: &str| {
        line.split_once(':')
            .is_some_and(|(name, value)| (2..=12).contains(&name.len()) && value.starts_with([' ', '\t']))
    };
    (is_named || is_rule)
        && next.skip_while(|line| line.trim().is_empty()).take(2).filter(|line| is_field(line)).count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::builder::build;

    #[test]
    fn mail_has_headers_body_and_quotation_apart() {
        let mail = b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nTo: a@example.org, B <b@example.org>\r\nSubject: Tides\r\n\
            Date: Sat, 1 Nov 2025 10:00:00 +0100\r\nMessage-ID: <1@example.org>\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\nHello there=2C\r\nsee below.\r\n\r\nOn Friday, A wrote:\r\n> Is it slack?\r\n> Yes.\r\n\
            \r\nBye\r\n-- \r\nJ\r\n";
        let document = build(&ExtractLimits::default(), |builder| read(mail, builder)).expect("has text");
        assert_eq!(document.title.as_deref(), Some("Tides"));
        assert_eq!(document.properties["from"], "Jürgen <j@example.org>");
        assert_eq!(document.properties["to"], "a@example.org, B <b@example.org>");
        let pieces: Vec<_> = document.elements.iter().map(|e| (e.kind, &document.text[e.start..e.end])).collect();
        assert_eq!(pieces[2], (ElementKind::Paragraph, "Hello there,\nsee below."));
        assert_eq!(pieces[3], (ElementKind::Aside, "On Friday, A wrote:\nIs it slack?\nYes."));
        assert_eq!(pieces[4..], [(ElementKind::Paragraph, "Bye"), (ElementKind::Aside, "--\nJ")]);
    }

    #[test]
    fn quotations_without_marks_and_of_two_lines_stand_apart() {
        let pieces = |text: &str| {
            let document = build(&ExtractLimits::default(), |builder| plain(builder, text)).expect("a text");
            let piece = |e: &crate::Element| (e.kind, document.text[e.start..e.end].to_owned());
            document.elements.iter().map(piece).collect::<Vec<_>>()
        };
        let of = |body: &str, aside: &str| {
            vec![(ElementKind::Paragraph, body.to_owned()), (ElementKind::Aside, aside.to_owned())]
        };
        assert_eq!(
            pieces("Yes.\n\n-----Original Message-----\nFrom: Ada\nSent: today\n\nShall we?\n"),
            of("Yes.", "-----Original Message-----\nFrom: Ada\nSent: today\n\nShall we?")
        );
        let rule = "_".repeat(32);
        assert_eq!(
            pieces(&format!("Yes.\n{rule}\nVon: Ada\nAn: Bo\n\nOb?")),
            of("Yes.", &format!("{rule}\nVon: Ada\nAn: Bo\n\nOb?"))
        );
        assert_eq!(
            pieces("Yes.\n\nOn Sat, 1 Nov 2025 at 10:00,\nAda <ada@example.org> wrote:\n> Shall we?\n"),
            of("Yes.", "On Sat, 1 Nov 2025 at 10:00,\nAda <ada@example.org> wrote:\nShall we?")
        );
        for body in [
            "One\n\n----------\nNote: Two\nMore: Three",
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\nA: b\n\nOne",
        ] {
            assert!(pieces(body).iter().all(|(kind, _)| *kind == ElementKind::Paragraph), "{body}");
        }
    }

    #[test]
    fn page_is_the_best_alternative() {
        let mail = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\
            Content-Type: text/plain\r\n\r\nHead\r\nwords\r\n--b\r\nContent-Type: text/html\r\n\r\n<h2>Head</h2><p>words\r\n--b--\r\n";
        let document = build(&ExtractLimits::default(), |builder| read(mail, builder)).expect("has text");
        assert_eq!(document.elements[1].kind, ElementKind::Heading { level: 2 });
        assert_eq!(document.text.matches("words").count(), 1);
    }

    #[test]
    fn malformed_mail_is_read_as_text() {
        let mail = b"Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\nno end\n";
        assert!(
            build(&ExtractLimits::default(), |builder| read(mail, builder)).expect("has text").text.contains("no end")
        );
    }

    #[test]
    fn mails_of_a_mailbox_keep_texts_without_good_boundaries() {
        let mailbox = b"From a\nSubject: Cut\nContent-Type: multipart/mixed; boundary=\"x\"\n\n\
            --x\nContent-Type: multipart/mixed; boundary=\"xy\"\n\n--xy\nContent-Type: text/plain\n\nHello world.\n\
            From c\nContent-Type: multipart/mixed; boundary=z\nSubject: \n \n--z\nContent-Type: text/plain\n\nThird text.\n--z--\n";
        let limits = ExtractLimits::default();
        let document = build(&limits, |builder| read_mailbox(mailbox, &limits, builder)).expect("has text");
        let page = |words: &str| {
            let place = document.text.find(words).expect(words);
            document.elements.iter().find(|element| element.end > place).and_then(|element| element.page)
        };
        assert_eq!([page("Hello world."), page("Third text.")], [Some(1), Some(2)]);
        assert!(!document.text.contains("--z"), "{}", document.text);
    }

    #[test]
    fn header_goes_on_behind_white_space_before_a_field() {
        for mail in
            [&b"Subject: a\n \nTo: b\n\ntext"[..], b"Subject: a\n \n folded\n\ntext", b"Subject: a\r\n\r\n \r\ntext"]
        {
            assert_eq!(with_header_end(mail), mail);
        }
        assert_eq!(with_header_end(b"Subject: a\r\n \r\ntext: here"), &b"Subject: a\r\n \r\ntext: here"[..]);
        assert_eq!(with_header_end(b"Subject: a\r\n \r\nsome text"), &b"Subject: a\r\n\r\nsome text"[..]);
    }

    #[test]
    fn mails_of_a_mailbox_are_pages() {
        let mailbox = b"From a Sat Nov  1 10:00:00 2025\nSubject: One\n\nfirst\n>From the start\n\nFrom b Sat Nov  1 10:00:00 2025\nSubject: Two\n\nsecond\n";
        let limits = ExtractLimits::default();
        let document = build(&limits, |builder| read_mailbox(mailbox, &limits, builder)).expect("has text");
        assert_eq!(document.page_count, Some(2));
        assert!(document.text.contains("second"));
        assert_eq!(document.elements.last().and_then(|element| element.page), Some(2));
    }
}
