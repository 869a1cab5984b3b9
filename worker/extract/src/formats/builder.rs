use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::{rows::TableRows, too_much_text};
use crate::{Document, Element, ElementKind, ExtractLimits, FileError, FileErrorKind, MediaType, document::Records};

/// Longest property: each chunk carries all of them.
const MAX_PROPERTY_BYTES: usize = 300;
/// Most warnings of a document.
const MAX_WARNINGS: usize = 8;

/// Builds a document element by element, with the text within its limit.
///
/// A blank line separates elements; a line end separates items of a list and lines of a listing.
#[derive(Default)]
pub(super) struct DocumentBuilder {
    document: Document,
    page: Option<u32>,
    /// Texts beside the body, which stand at the end, with their pages.
    asides: Vec<(String, Option<u32>)>,
    aside_bytes: usize,
    max_text_bytes: u64,
}

impl DocumentBuilder {
    pub(super) fn new(limits: &ExtractLimits) -> Self {
        Self {
            document: Document::default(),
            page: None,
            asides: Vec::new(),
            aside_bytes: 0,
            max_text_bytes: limits.max_text_bytes,
        }
    }

    /// Sets the title, unless it is set already or the new one is blank.
    pub(super) fn title(&mut self, title: &str) {
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        if self.document.title.is_none() && !title.is_empty() {
            self.document.title = Some(title);
        }
    }

    /// Sets the media type.
    pub(super) fn media_type(&mut self, media_type: MediaType) {
        self.document.media_type = Some(media_type);
    }

    /// Sets a property, unless it is blank.
    pub(super) fn property(&mut self, name: &str, value: &str) {
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        if !value.is_empty() {
            let end = value.floor_char_boundary(MAX_PROPERTY_BYTES);
            self.document.properties.insert(name.to_owned(), cleaned(&value[..end]).into_owned());
        }
    }

    /// Says what is missing from the text.
    pub(super) fn warn(&mut self, sentence: String) {
        if self.document.warnings.len() < MAX_WARNINGS {
            self.document.warnings.push(sentence);
        }
    }

    /// Sets the number of pages.
    pub(super) fn page_count(&mut self, pages: u32) {
        self.document.page_count = Some(pages);
    }

    /// Starts a page; pages are counted from 1.
    pub(super) fn page(&mut self, number: u32) {
        self.page = Some(number);
        if !self.document.text.is_empty() {
            self.append(ElementKind::PageBreak, "\n\n");
        }
    }

    /// Adds an element, unless it is blank.
    pub(super) fn push(&mut self, kind: ElementKind, content: &str) -> Result<(), FileError> {
        // Code keeps the indentation of its first line; other elements are trimmed.
        let content = match kind {
            ElementKind::Code => content.trim_end().trim_start_matches(['\n', '\r']),
            _ => content.trim(),
        };
        if content.is_empty() {
            return Ok(());
        }
        if (self.document.text.len() + content.len()) as u64 > self.max_text_bytes {
            return Err(too_much_text());
        }
        let separator = match (self.document.elements.last().map(|last| last.kind), kind) {
            (None | Some(ElementKind::PageBreak), _) => "",
            (Some(ElementKind::ListItem), ElementKind::ListItem) => "\n",
            // Word processors store each line of a listing as a paragraph.
            (Some(ElementKind::Code), ElementKind::Code) => "\n",
            _ => "\n\n",
        };
        self.document.text.push_str(separator);
        self.append(kind, content);
        Ok(())
    }

    /// Adds a table whose first row names the columns.
    pub(super) fn table(&mut self, rows: &mut TableRows) -> Result<(), FileError> {
        self.table_at(&rows.text(), None)
    }

    /// Adds a table by its lines.
    pub(super) fn table_at(&mut self, lines: &str, place: Option<String>) -> Result<(), FileError> {
        let count = self.document.elements.len();
        self.push(ElementKind::Table, lines)?;
        if self.document.elements.len() > count
            && let Some(element) = self.document.elements.last_mut()
        {
            let header_bytes = self.document.text[element.start..element.end].find('\n').unwrap_or(0);
            element.records = Some(Records { header_bytes, is_quoted: false });
            element.place = place;
        }
        Ok(())
    }

    /// Sets a text beside the body, which stands at the end. A repeated text, as of the head of each page, stands once.
    pub(super) fn aside(&mut self, content: &str) -> Result<(), FileError> {
        let content = content.trim();
        let is_known = self.asides.iter().rev().take(64).any(|(known, _)| known == content);
        if content.is_empty() || is_known {
            return Ok(());
        }
        self.aside_bytes += content.len();
        if (self.document.text.len() + self.aside_bytes) as u64 > self.max_text_bytes {
            return Err(too_much_text());
        }
        self.asides.push((content.to_owned(), self.page));
        Ok(())
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.document.text.is_empty() && self.asides.is_empty()
    }

    fn append(&mut self, kind: ElementKind, content: &str) {
        let text = &mut self.document.text;
        let start = text.len();
        text.push_str(&cleaned(content));
        if text.len() > start {
            self.document.elements.push(Element::new(kind, start..text.len(), self.page));
        }
    }

    /// The document, or an error with the given sentence if it has no text.
    pub(super) fn finish(mut self, if_empty: &str) -> Result<Document, FileError> {
        for (content, page) in std::mem::take(&mut self.asides) {
            self.page = page;
            self.push(ElementKind::Aside, &content)?;
        }
        if self.document.text.trim().is_empty() {
            return Err(FileError::new(FileErrorKind::Empty, if_empty));
        }
        Ok(self.document)
    }
}

/// The text as people read it: ligatures and composed letters in one form, without control characters (which the database
/// rejects, and fonts without a proper character map yield), soft hyphens and marks without width, all of which split or hide words.
fn cleaned(content: &str) -> Cow<'_, str> {
    let is_plain = |c: char| !is_dropped(c) && !matches!(c, '\u{FB00}'..='\u{FB06}' | '\u{200C}' | '\u{200D}');
    if content.is_ascii() && content.chars().all(|c| !is_dropped(c)) {
        return content.into();
    }
    let is_normal = is_nfc_quick(content.chars()) == IsNormalized::Yes;
    if is_normal && content.chars().all(is_plain) {
        return content.into();
    }
    let mut text = String::with_capacity(content.len());
    for c in content.nfc() {
        match c {
            _ if is_dropped(c) => {}
            // Marks that join or separate letters, which Persian, Indic scripts and emoji need, and words in Latin letters do not.
            '\u{200C}' | '\u{200D}' if text.ends_with(|before: char| before.is_ascii_alphanumeric()) => {}
            '\u{FB00}' => text.push_str("ff"),
            '\u{FB01}' => text.push_str("fi"),
            '\u{FB02}' => text.push_str("fl"),
            '\u{FB03}' => text.push_str("ffi"),
            '\u{FB04}' => text.push_str("ffl"),
            '\u{FB05}' | '\u{FB06}' => text.push_str("st"),
            c => text.push(c),
        }
    }
    text.into()
}

/// Characters that no reader sees.
fn is_dropped(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{AD}' | '\u{200B}' | '\u{2060}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(document: &Document) -> Vec<(ElementKind, &str)> {
        document.elements.iter().map(|e| (e.kind, &document.text[e.start..e.end])).collect()
    }

    #[test]
    fn element_ranges_exclude_separators() {
        let mut builder = DocumentBuilder::new(&ExtractLimits::default());
        for (kind, content) in [
            (ElementKind::Heading { level: 1 }, " Grüße "),
            (ElementKind::Paragraph, "   "),
            (ElementKind::ListItem, "- one"),
            (ElementKind::ListItem, "- two"),
            (ElementKind::Code, "\n  x = 1\n"),
            (ElementKind::Code, "  y = 2"),
        ] {
            builder.push(kind, content).expect("small");
        }
        let document = builder.finish("empty").expect("has text");
        assert_eq!(document.text, "Grüße\n\n- one\n- two\n\n  x = 1\n  y = 2");
        assert_eq!(
            pieces(&document),
            [
                (ElementKind::Heading { level: 1 }, "Grüße"),
                (ElementKind::ListItem, "- one"),
                (ElementKind::ListItem, "- two"),
                (ElementKind::Code, "  x = 1"),
                (ElementKind::Code, "  y = 2"),
            ]
        );
    }

    #[test]
    fn page_breaks_separate_pages() {
        let mut builder = DocumentBuilder::new(&ExtractLimits::default());
        builder.page(1);
        builder.page(2);
        builder.push(ElementKind::Paragraph, "a\0b").expect("small");
        builder.page(3);
        builder.push(ElementKind::Paragraph, "c").expect("small");
        let document = builder.finish("empty").expect("has text");
        assert_eq!(document.text, "ab\n\nc");
        let pages: Vec<_> = document.elements.iter().map(|e| (e.kind, e.page)).collect();
        assert_eq!(
            pages,
            [(ElementKind::Paragraph, Some(2)), (ElementKind::PageBreak, Some(3)), (ElementKind::Paragraph, Some(3)),]
        );
    }

    #[test]
    fn too_much_text_and_no_text_are_errors() {
        let limits = ExtractLimits { max_text_bytes: 4, ..ExtractLimits::default() };
        let mut builder = DocumentBuilder::new(&limits);
        let error = builder.push(ElementKind::Paragraph, "12345").expect_err("five of four");
        assert_eq!(error.kind, FileErrorKind::TooLarge);
        let error = builder.finish("nothing there").expect_err("nothing was added");
        assert_eq!((error.kind, error.detail.as_str()), (FileErrorKind::Empty, "nothing there"));
    }
}
