use crate::{Document, Element, ElementKind};

/// Finds the elements of a plain text: blocks of lines between blank lines, all of one kind.
pub(super) fn describe(text: String, kind: ElementKind) -> Document {
    let mut elements: Vec<Element> = Vec::new();
    let mut in_block = false;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        // A byte order mark at the start is not part of the first element.
        let start = if offset == 0 && line.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 };
        let end = offset + line.trim_end().len();
        let start = offset + start;
        if start >= end {
            in_block = false;
        } else if let (true, Some(block)) = (in_block, elements.last_mut()) {
            block.end = end;
        } else {
            elements.push(Element { kind, start, end, page: None });
            in_block = true;
        }
        offset += line.len();
    }
    Document { text, elements, page_count: None, title: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_separate_blocks() {
        let document = describe("\u{FEFF}one\r\ntwo \r\n\r\n \t\n  three".to_owned(), ElementKind::Paragraph);
        let blocks: Vec<_> = document.elements.iter().map(|e| &document.text[e.start..e.end]).collect();
        assert_eq!(blocks, ["one\r\ntwo", "  three"]);
    }

    #[test]
    fn white_space_has_no_elements() {
        assert!(describe("\u{FEFF} \n\t\r\n".to_owned(), ElementKind::Code).elements.is_empty());
    }
}
