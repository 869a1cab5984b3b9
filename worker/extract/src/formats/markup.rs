//! What readers of XML share.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::{FileError, FileErrorKind};

/// The error of markup that is no XML.
pub(super) fn malformed(_: quick_xml::Error) -> FileError {
    FileError::new(FileErrorKind::Corrupt, "The document's markup is malformed.")
}

/// Fails if a text ends before its outermost element does.
pub(super) fn check_end(xml: &str) -> Result<(), FileError> {
    let outermost = xml.split('<').skip(1).find(|tag| tag.starts_with(|c: char| c.is_alphabetic() || c == '_'));
    let name = outermost.and_then(|tag| tag.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next());
    let Some(name) = name else { return Ok(()) };
    let is_closed = xml.rfind("</").is_some_and(|place| xml[place + 2..].starts_with(name));
    // An element that closes itself.
    let is_alone = xml.trim_end().ends_with("/>") && !xml.contains("</");
    match is_closed || is_alone {
        true => Ok(()),
        false => Err(FileError::new(FileErrorKind::Corrupt, "The document's markup is cut short.")),
    }
}

/// An attribute by its name without prefix.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = attributes(tag).find(|attribute| attribute.key.local_name().as_ref() == name)?;
    found.normalized_value(XmlVersion::Implicit1_0).ok().map(|value| value.into_owned())
}

/// The attributes of an element, also repeated ones.
pub(super) fn attributes<'a>(tag: &'a BytesStart<'_>) -> impl Iterator<Item = Attribute<'a>> {
    let mut attributes = tag.attributes();
    attributes.with_checks(false);
    attributes.flatten()
}

/// An attribute as a number.
pub(super) fn number(tag: &BytesStart<'_>, name: &str) -> Option<usize> {
    attribute(tag, name)?.parse().ok()
}

/// Adds the characters of an event to a text.
pub(super) fn append_text(text: &mut String, event: &Event<'_>) {
    match event {
        Event::Text(words) => text.push_str(&words.xml_content(XmlVersion::Implicit1_0)),
        Event::CData(words) => text.push_str(&words.xml_content(XmlVersion::Implicit1_0)),
        // Only XML's predefined entities: entities of a document type can expand without bound.
        Event::GeneralRef(name) => match name.resolve_char_ref() {
            Ok(Some(c)) => text.push(c),
            _ => text.push_str(resolve_predefined_entity(name).unwrap_or_default()),
        },
        _ => {}
    }
}

/// A reader of the elements of a part, one after the other.
pub(super) trait ElementReader {
    /// The elements that are left out with everything within them, by their names without prefix.
    const SKIPPED: &'static [&'static str];

    /// Begins an element. One without content ends at once.
    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), FileError>;

    /// Ends an element of this name, without prefix.
    fn end(&mut self, name: &str) -> Result<(), FileError>;

    /// Takes the characters between two tags (see [`append_text`]), and other events.
    fn content(&mut self, event: &Event<'_>);

    /// Reads a part to its end.
    fn part(&mut self, xml: &str) -> Result<(), FileError> {
        let mut reader = Reader::from_str(xml);
        loop {
            match reader.read_event().map_err(malformed)? {
                Event::Start(tag) if Self::SKIPPED.contains(&tag.local_name().as_ref()) => {
                    reader.read_to_end(tag.name()).map_err(malformed)?;
                }
                Event::Start(tag) => self.start(&tag)?,
                Event::Empty(tag) => {
                    self.start(&tag)?;
                    self.end(tag.local_name().as_ref())?;
                }
                Event::End(tag) => self.end(tag.local_name().as_ref())?,
                Event::Eof => return Ok(()),
                event => self.content(&event),
            }
        }
    }
}

/// The text of the first element of this name, without prefix.
pub(super) fn first_text(xml: &str, name: &str) -> Result<String, FileError> {
    let mut reader = Reader::from_str(xml);
    let mut text = None;
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Start(tag) if tag.local_name().as_ref() == name => text = Some(String::new()),
            Event::End(tag) if tag.local_name().as_ref() == name => return Ok(text.unwrap_or_default()),
            Event::Eof => return Ok(String::new()),
            event => {
                if let Some(text) = &mut text {
                    append_text(text, &event);
                }
            }
        }
    }
}

/// The texts of all elements of these names, in order: what a chart or a diagram says.
pub(super) fn texts(xml: &str, names: &[&str]) -> Result<Vec<String>, FileError> {
    let mut reader = Reader::from_str(xml);
    let mut texts: Vec<String> = Vec::new();
    let mut open = false;
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Start(tag) if names.contains(&tag.local_name().as_ref()) => {
                open = true;
                texts.push(String::new());
            }
            Event::End(tag) if names.contains(&tag.local_name().as_ref()) => open = false,
            Event::Eof => return Ok(texts),
            event if open => {
                if let Some(text) = texts.last_mut() {
                    append_text(text, &event);
                }
            }
            _ => {}
        }
    }
}
