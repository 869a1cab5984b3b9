use crate::{
    Document, Element, ElementKind,
    document::{Records, record_bytes},
};

/// Describes records of values: one table. The first record names the columns if it has only words and others follow.
pub(super) fn describe_records(text: String) -> Document {
    let start = text.len() - text.trim_start_matches('\u{FEFF}').trim_start_matches(['\r', '\n']).len();
    let end = text.trim_end().len();
    let mut elements = Vec::new();
    if start < end {
        let header = record_bytes(&text[start..end], true);
        let record = text[start..start + header].trim_end();
        let separator = ['\t', ';', '|'].into_iter().find(|separator| record.contains(*separator)).unwrap_or(',');
        let is_name = |value: &str| {
            let value = value.trim().trim_matches('"').trim();
            !value.is_empty() && value.parse::<f64>().is_err()
        };
        let is_header = start + header < end && record.split(separator).all(is_name);
        let mut element = Element::new(ElementKind::Table, start..end, None);
        let header_bytes = if is_header { record.len() } else { 0 };
        element.records = Some(Records { header_bytes, is_quoted: true });
        elements.push(element);
    }
    Document { text, elements, ..Document::default() }
}

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
            elements.push(Element::new(kind, start..end, None));
            in_block = true;
        }
        offset += line.len();
    }
    Document { text, elements, ..Document::default() }
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
    fn first_record_is_the_header_if_it_has_only_words() {
        let described = |text: &str| {
            let document = describe_records(text.to_owned());
            let element = document.elements.first().cloned();
            element.map(|element| {
                let records: Vec<_> = element.records(text).map(|range| text[range].to_owned()).collect();
                (element.records.map(|records| records.header_bytes), records)
            })
        };
        let owned = |records: &[&str]| records.iter().map(|record| (*record).to_owned()).collect::<Vec<_>>();
        assert_eq!(described("a,b\r\n1,\"x\ny\"\r\n2,z\r\n"), Some((Some(3), owned(&["a,b", "1,\"x\ny\"", "2,z"]))));
        assert_eq!(described("1;2\n3;4"), Some((Some(0), owned(&["1;2", "3;4"]))));
        // A quotation mark that is never closed quotes nothing.
        assert_eq!(described("a,b\n5\",c\nd,e\n"), Some((Some(3), owned(&["a,b", "5\",c", "d,e"]))));
        // Within a field it is a letter; two in a quoted field are one.
        let lengths = "size,kind\n5\" pipe,x\n6\" pipe,y\n";
        assert_eq!(described(lengths), Some((Some(9), owned(&["size,kind", "5\" pipe,x", "6\" pipe,y"]))));
        let doubled = "a,b\n\"x \"\"\ny\"\"\",c\n\"\",\"d\ne\"\n";
        assert_eq!(described(doubled), Some((Some(3), owned(&["a,b", "\"x \"\"\ny\"\"\",c", "\"\",\"d\ne\""]))));
        assert_eq!(described(" \n"), None);
    }

    #[test]
    fn white_space_has_no_elements() {
        assert!(describe("\u{FEFF} \n\t\r\n".to_owned(), ElementKind::Code).elements.is_empty());
    }
}
