use super::too_much_text;
use crate::{Document, Element, ElementKind, ExtractLimits, FileError, FileErrorKind};

/// Builds a document element by element, with the text within its limit.
///
/// A blank line separates elements; a line end separates items of a list and lines of a listing.
pub(super) struct DocumentBuilder {
    document: Document,
    page: Option<u32>,
    max_text_bytes: u64,
}

impl DocumentBuilder {
    pub(super) fn new(limits: &ExtractLimits) -> Self {
        Self { document: Document::default(), page: None, max_text_bytes: limits.max_text_bytes }
    }

    /// Sets the title, unless it is set already or the new one is blank.
    pub(super) fn title(&mut self, title: &str) {
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        if self.document.title.is_none() && !title.is_empty() {
            self.document.title = Some(title);
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

    fn append(&mut self, kind: ElementKind, content: &str) {
        let text = &mut self.document.text;
        let start = text.len();
        // Fonts without a proper character map yield control characters, which the database rejects.
        text.extend(content.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')));
        if text.len() > start {
            self.document.elements.push(Element { kind, start, end: text.len(), page: self.page });
        }
    }

    /// The document, or an error with the given sentence if it has no text.
    pub(super) fn finish(self, if_empty: &str) -> Result<Document, FileError> {
        if self.document.text.trim().is_empty() {
            return Err(FileError::new(FileErrorKind::Empty, if_empty));
        }
        Ok(self.document)
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
