use std::borrow::Cow;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::boxes::text_boxes;
use super::failures::too_much_text;
use super::rows::TableRows;
use crate::ocr::LineBox;
use crate::{Document, Element, ElementKind, ExtractLimits, FileError, FileErrorKind, MediaType, document::Records};

/// Longest property: each chunk carries all of them.
const MAX_PROPERTY_BYTES: usize = 300;
/// Most warnings of a document.
const MAX_WARNINGS: usize = 8;

/// The share of a file's time after which reading ends, if a part of the file is enough: the parent ends the process at the limit.
const PARTIAL_TIME_SHARE: f64 = 0.8;

/// The document of a reader, which adds elements until it has read the file, or fails.
///
/// With [`ExtractLimits::partial`], what was added before a failure is a document, too.
pub(super) fn build(
    limits: &ExtractLimits,
    read: impl FnOnce(&mut DocumentBuilder) -> Result<(), FileError>,
) -> Result<Document, FileError> {
    let mut builder = DocumentBuilder::new(limits);
    if limits.partial {
        let share = Duration::from_secs(limits.wall_seconds).mul_f64(PARTIAL_TIME_SHARE);
        builder.is_partial = true;
        builder.until = Some(Instant::now() + share);
    }
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| read(&mut builder)));
    let outcome = outcome.unwrap_or_else(|_| Err(FileError::crashed()));
    builder.finish(outcome)
}

/// Whether a document without the part that failed is a document.
fn leaves_a_part(failure: &FileError) -> bool {
    match failure.kind {
        FileErrorKind::Corrupt | FileErrorKind::TooLarge | FileErrorKind::TimedOut | FileErrorKind::OutOfMemory => true,
        FileErrorKind::UnsupportedMedia | FileErrorKind::Encrypted | FileErrorKind::Empty => false,
    }
}

/// Builds a document element by element, with the text within its limit.
///
/// A blank line separates elements; a line end separates items of a list and lines of a listing.
#[derive(Default)]
pub(super) struct DocumentBuilder {
    document: Document,
    page: Option<u32>,
    /// Texts beside the body, which stand at the end.
    asides: Vec<Aside>,
    aside_bytes: usize,
    max_text_bytes: u64,
    /// Whether a part of the file is enough.
    is_partial: bool,
    /// When reading ends, if a part of the file is enough. Then writing begins, for which there is no limit here.
    until: Option<Instant>,
    /// The time that text in pictures was recognised, which does not count as reading.
    recognition: Duration,
    /// The failure of a document without text.
    if_empty: &'static str,
}

/// A text beside the body, with its page and the places of its lines.
struct Aside {
    content: String,
    page: Option<u32>,
    boxes: Vec<LineBox>,
}

impl DocumentBuilder {
    pub(super) fn new(limits: &ExtractLimits) -> Self {
        Self { max_text_bytes: limits.max_text_bytes, if_empty: "The file has no text.", ..Self::default() }
    }

    /// Whether a part of the file is enough.
    pub(super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Takes a failure after which reading goes on if a part of the file is enough, and gives it back otherwise.
    pub(super) fn skip(&mut self, failure: FileError) -> Result<(), FileError> {
        if !self.is_partial || !leaves_a_part(&failure) {
            return Err(failure);
        }
        if failure.kind == FileErrorKind::TimedOut {
            self.until = None;
        }
        self.warn(failure.detail.clone());
        self.document.failure.get_or_insert(failure);
        Ok(())
    }

    /// Fails when the time of a file is over of which a part is enough.
    pub(super) fn check_time(&self) -> Result<(), FileError> {
        match self.until {
            Some(until) if Instant::now() > until + self.recognition => Err(FileError::timed_out()),
            _ => Ok(()),
        }
    }

    /// Sets the time that text in pictures was recognised until now.
    pub(super) fn recognized_for(&mut self, time: Duration) {
        self.recognition = time;
    }

    /// Sets the sentence of the failure of a document without text.
    pub(super) fn if_empty(&mut self, sentence: &'static str) {
        self.if_empty = sentence;
    }

    /// Replaces everything by a document whose text is the file.
    pub(super) fn replace(&mut self, document: Document) {
        let Document { failure, warnings, .. } = std::mem::take(&mut self.document);
        self.document = Document { failure, warnings, ..document };
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
        self.push_placed(kind, content, &[])
    }

    /// Adds an element with the places of recognised lines in its content, unless it is blank.
    pub(super) fn push_placed(&mut self, kind: ElementKind, content: &str, boxes: &[LineBox]) -> Result<(), FileError> {
        let skipped = content.len() - content.trim_start().len();
        // Code keeps the indentation of its first line; other elements are trimmed.
        let content = match kind {
            ElementKind::Code => content.trim_end().trim_start_matches(['\n', '\r']),
            _ => content.trim(),
        };
        if content.is_empty() {
            return Ok(());
        }
        self.check_time()?;
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
        let start = self.document.text.len();
        self.append(kind, content);
        if !boxes.is_empty() {
            let added = &self.document.text[start..];
            let boxes = text_boxes(boxes, (content, skipped), (added, start), self.page);
            self.document.boxes.extend(boxes);
        }
        Ok(())
    }

    /// Adds a table whose first row names the columns.
    pub(super) fn table(&mut self, rows: &mut TableRows) -> Result<(), FileError> {
        self.table_at(&rows.text(), None, &[])
    }

    /// Adds a table by its lines, with its place in the file, or those of recognised lines on the page.
    pub(super) fn table_at(&mut self, lines: &str, place: Option<String>, boxes: &[LineBox]) -> Result<(), FileError> {
        let count = self.document.elements.len();
        self.push_placed(ElementKind::Table, lines, boxes)?;
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
        self.aside_placed(content.trim(), &[])
    }

    /// Sets a text beside the body, with the places of recognised lines in it.
    pub(super) fn aside_placed(&mut self, content: &str, boxes: &[LineBox]) -> Result<(), FileError> {
        self.check_time()?;
        let is_known = self.asides.iter().rev().take(64).any(|known| known.content == content);
        if content.trim().is_empty() || is_known {
            return Ok(());
        }
        self.aside_bytes += content.len();
        if (self.document.text.len() + self.aside_bytes) as u64 > self.max_text_bytes {
            return Err(too_much_text());
        }
        self.asides.push(Aside { content: content.to_owned(), page: self.page, boxes: boxes.to_vec() });
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

    /// The document, or why there is none.
    fn finish(mut self, outcome: Result<(), FileError>) -> Result<Document, FileError> {
        let outcome = outcome.or_else(|failure| self.skip(failure));
        // What there is, is written in any case.
        self.until = None;
        if let Err(failure) = outcome {
            // A reader that finds nothing in a damaged file does not know why.
            let is_consequence = failure.kind == FileErrorKind::UnsupportedMedia;
            return Err(self.document.failure.take().filter(|_| is_consequence).unwrap_or(failure));
        }
        for Aside { content, page, boxes } in std::mem::take(&mut self.asides) {
            self.page = page;
            match self.push_placed(ElementKind::Aside, &content, &boxes) {
                Err(_) if self.is_partial => break,
                pushed => pushed?,
            }
        }
        if self.document.text.trim().is_empty() {
            let failure = self.document.failure.take();
            return Err(failure.unwrap_or_else(|| FileError::new(FileErrorKind::Empty, self.if_empty)));
        }
        Ok(self.document)
    }
}

/// The text as people read it: ligatures and composed letters in one form, without control characters (which the database
/// rejects, and fonts without a proper character map yield), soft hyphens and marks without width, all of which split or hide words.
pub(super) fn cleaned(content: &str) -> Cow<'_, str> {
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
        let parts = [
            (ElementKind::Heading { level: 1 }, " Grüße "),
            (ElementKind::Paragraph, "   "),
            (ElementKind::ListItem, "- one"),
            (ElementKind::ListItem, "- two"),
            (ElementKind::Code, "\n  x = 1\n"),
            (ElementKind::Code, "  y = 2"),
        ];
        let add =
            |builder: &mut DocumentBuilder| parts.iter().try_for_each(|(kind, content)| builder.push(*kind, content));
        let document = build(&ExtractLimits::default(), add).expect("has text");
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
        let add = |builder: &mut DocumentBuilder| {
            builder.page(1);
            builder.page(2);
            builder.push(ElementKind::Paragraph, "a\0b")?;
            builder.page(3);
            builder.push(ElementKind::Paragraph, "c")
        };
        let document = build(&ExtractLimits::default(), add).expect("has text");
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
        let error = build(&limits, |builder| builder.push(ElementKind::Paragraph, "12345"));
        assert_eq!(error.expect_err("five of four").kind, FileErrorKind::TooLarge);
        let nothing = |builder: &mut DocumentBuilder| {
            builder.if_empty("nothing there");
            Ok(())
        };
        let error = build(&limits, nothing).expect_err("nothing was added");
        assert_eq!((error.kind, error.detail.as_str()), (FileErrorKind::Empty, "nothing there"));
    }

    #[test]
    fn failure_leaves_what_was_added_if_a_part_is_enough() {
        let corrupt = || FileError::new(FileErrorKind::Corrupt, "Damaged.");
        let limits = ExtractLimits { partial: true, ..ExtractLimits::default() };
        let add = |failure: FileError| {
            move |builder: &mut DocumentBuilder| {
                builder.aside("beside")?;
                builder.push(ElementKind::Paragraph, "before")?;
                Err(failure)
            }
        };
        assert_eq!(build(&ExtractLimits::default(), add(corrupt())), Err(corrupt()));
        let document = build(&limits, add(corrupt())).expect("a part");
        assert_eq!((document.text.as_str(), document.failure), ("before\n\nbeside", Some(corrupt())));
        assert_eq!(document.warnings, ["Damaged."]);
        let encrypted = FileError::new(FileErrorKind::Encrypted, "Protected.");
        assert_eq!(build(&limits, add(encrypted.clone())), Err(encrypted));
        assert_eq!(build(&limits, |_| Err(corrupt())), Err(corrupt()), "nothing was read");
        let crash = |builder: &mut DocumentBuilder| {
            builder.push(ElementKind::Paragraph, "before")?;
            panic!("as a library may")
        };
        assert_eq!(build(&limits, crash).expect("a part").failure, Some(FileError::crashed()));
        let late = ExtractLimits { wall_seconds: 0, ..limits };
        let slow = |builder: &mut DocumentBuilder| {
            builder.append(ElementKind::Paragraph, "before");
            std::thread::sleep(Duration::from_millis(1));
            builder.push(ElementKind::Paragraph, "after")
        };
        let document = build(&late, slow).expect("a part");
        assert_eq!((document.text.as_str(), document.failure), ("before", Some(FileError::timed_out())));
    }
}
