//! Finds the elements of a Markdown file; their ranges are ranges of the file itself, markup included.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::{Document, Element, ElementKind, document::Records};

/// Finds the blocks of a Markdown text.
pub(super) fn describe(text: String) -> Document {
    // The parser takes a byte order mark for a letter and would miss a heading after it.
    let skip = text.len() - text.trim_start_matches('\u{FEFF}').len();
    let mut blocks = Blocks { text: &text, skip, elements: Vec::new(), item: None };
    let mut title = Title::default();
    // The words of the open heading, and of which element.
    let mut label: Option<String> = None;
    let mut decoding = Decoding { text: &text, skip, replaced: Vec::new(), in_code: false };
    // Depth of blocks that are one element as a whole; their content is skipped.
    let mut inside = 0_usize;

    let options = Options::ENABLE_TABLES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_STRIKETHROUGH;
    for (event, range) in Parser::new_ext(&text[skip..], options).into_offset_iter() {
        title.see(&event);
        decoding.see(&event, &range);
        match (&event, &mut label) {
            (Event::Start(Tag::Heading { .. }), _) => label = Some(String::new()),
            (Event::Text(words) | Event::Code(words), Some(label)) => label.push_str(words),
            (Event::SoftBreak | Event::HardBreak, Some(label)) => label.push(' '),
            _ => {}
        }
        match event {
            Event::Start(tag) => match whole_block(&tag) {
                Some(kind) => {
                    if inside == 0 {
                        let html = || html_heading(&text[skip + range.start..skip + range.end]);
                        match (&tag, matches!(tag, Tag::HtmlBlock).then(html).flatten()) {
                            (Tag::HtmlBlock, Some((level, words))) => {
                                blocks.block(ElementKind::Heading { level }, range);
                                blocks.label(&words);
                            }
                            _ => blocks.block(kind, range),
                        }
                    }
                    inside += 1;
                }
                None if inside == 0 => match tag {
                    Tag::Item => {
                        blocks.end_item(range.start);
                        blocks.item = Some(range.start);
                    }
                    Tag::List(_) => blocks.end_item(range.start),
                    _ => {}
                },
                None => {}
            },
            Event::End(tag) => {
                if is_whole_block_end(&tag) {
                    inside -= 1;
                    if let (TagEnd::Heading(_), Some(words)) = (tag, label.take()) {
                        blocks.label(&words);
                    }
                } else if inside == 0 && tag == TagEnd::Item {
                    blocks.end_item(range.end);
                }
            }
            _ => {}
        }
    }
    let elements = blocks.elements;
    let replaced = decoding.replaced;
    let document = Document { title: title.text(), text, elements, ..Document::default() };
    if replaced.is_empty() { document } else { decoded(document, &replaced) }
}

/// Finds escapes: what they stand for is written in their places.
struct Decoding<'a> {
    text: &'a str,
    skip: usize,
    replaced: Vec<(Range<usize>, String)>,
    in_code: bool,
}

impl Decoding<'_> {
    fn see(&mut self, event: &Event<'_>, range: &Range<usize>) {
        match event {
            Event::Start(Tag::CodeBlock(_) | Tag::MetadataBlock(_) | Tag::HtmlBlock) => self.in_code = true,
            Event::End(TagEnd::CodeBlock | TagEnd::MetadataBlock(_) | TagEnd::HtmlBlock) => self.in_code = false,
            Event::Text(words) if !self.in_code => {
                let (start, end) = (self.skip + range.start, self.skip + range.end);
                let source = &self.text[start..end];
                if source.starts_with('&') && **words != *source {
                    self.replaced.push((start..end, words.to_string()));
                } else if self.text[..start].ends_with('\\')
                    && source.starts_with(|c: char| c.is_ascii_punctuation())
                    && self.replaced.last().is_none_or(|(last, _)| last.end < start)
                {
                    self.replaced.push((start - 1..start, String::new()));
                }
            }
            _ => {}
        }
    }
}

/// The document with parts of its text replaced.
fn decoded(document: Document, replaced: &[(Range<usize>, String)]) -> Document {
    let mut text = String::with_capacity(document.text.len());
    // Where each replaced part ends, before and after.
    let mut ends = vec![(0, 0)];
    let mut from = 0;
    for (range, words) in replaced {
        text.push_str(&document.text[from..range.start]);
        text.push_str(words);
        from = range.end;
        ends.push((from, text.len()));
    }
    text.push_str(&document.text[from..]);
    let moved = |place: usize| {
        let (before, after) = ends[ends.partition_point(|(before, _)| *before <= place) - 1];
        (after + place - before).min(text.len())
    };
    let elements = document.elements.into_iter().map(|mut element| {
        let (start, end) = (moved(element.start), moved(element.end));
        if let Some(records) = &mut element.records {
            records.header_bytes = moved(element.start + records.header_bytes) - start;
        }
        (element.start, element.end) = (text.floor_char_boundary(start), text.floor_char_boundary(end));
        element
    });
    let elements = elements.filter(|element| element.start < element.end).collect();
    Document { elements, text, ..document }
}

/// The level and words of a heading that is written as HTML.
fn html_heading(block: &str) -> Option<(u8, String)> {
    let inner = block.trim().strip_prefix("<h")?;
    let level = inner.chars().next()?.to_digit(10).filter(|level| (1..=6).contains(level))?;
    let (_, inner) = inner.split_once('>')?;
    let (inner, rest) = inner.split_once(&format!("</h{level}"))?;
    if rest.trim() != ">" {
        return None;
    }
    let mut words = String::new();
    let mut in_tag = false;
    for c in inner.chars() {
        match c {
            '<' => in_tag = true,
            '>' => in_tag = false,
            c if !in_tag => words.push(c),
            _ => {}
        }
    }
    Some((level as u8, words))
}

/// Bytes of the heading of a table with its delimiter row.
fn table_header(table: &str) -> usize {
    let mut lines = table.split_inclusive('\n');
    let head = lines.next().map_or(0, str::len);
    let delimiter = lines.next().unwrap_or_default();
    head + delimiter.trim_end().len()
}

fn whole_block(tag: &Tag<'_>) -> Option<ElementKind> {
    Some(match tag {
        Tag::Heading { level, .. } => ElementKind::Heading { level: *level as u8 },
        Tag::Paragraph | Tag::HtmlBlock => ElementKind::Paragraph,
        Tag::CodeBlock(_) | Tag::MetadataBlock(_) => ElementKind::Code,
        Tag::Table(_) => ElementKind::Table,
        _ => return None,
    })
}

fn is_whole_block_end(tag: &TagEnd) -> bool {
    matches!(
        tag,
        TagEnd::Heading(_)
            | TagEnd::Paragraph
            | TagEnd::HtmlBlock
            | TagEnd::CodeBlock
            | TagEnd::MetadataBlock(_)
            | TagEnd::Table
    )
}

/// Collects elements. A list item is one element up to an inner list, whose items are separate elements.
struct Blocks<'a> {
    text: &'a str,
    skip: usize,
    elements: Vec<Element>,
    /// The start of the current item.
    item: Option<usize>,
}

impl Blocks<'_> {
    fn block(&mut self, kind: ElementKind, range: Range<usize>) {
        if self.item.is_none() {
            self.add(kind, range);
        }
    }

    fn end_item(&mut self, end: usize) {
        if let Some(start) = self.item.take() {
            self.add(ElementKind::ListItem, start..end);
        }
    }

    fn add(&mut self, kind: ElementKind, range: Range<usize>) {
        let start = self.skip + range.start;
        let end = start + self.text[start..self.skip + range.end].trim_end().len();
        if start < end {
            let mut element = Element::new(kind, start..end, None);
            if kind == ElementKind::Table {
                let header_bytes = table_header(&self.text[start..end]);
                element.records = Some(Records { header_bytes, is_quoted: false });
            }
            self.elements.push(element);
        }
    }

    /// Sets the words of the last element, if it is a heading whose text also has markup.
    fn label(&mut self, words: &str) {
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(element) = self.elements.last_mut()
            && self.item.is_none()
            && matches!(element.kind, ElementKind::Heading { .. })
            && self.text[element.start..element.end] != *words
        {
            element.label = Some(words);
        }
    }
}

/// Finds the title: the first heading of level 1.
#[derive(Default)]
struct Title {
    words: String,
    state: TitleState,
}

#[derive(Default, PartialEq)]
enum TitleState {
    #[default]
    Awaited,
    Reading,
    Done,
}

impl Title {
    fn see(&mut self, event: &Event<'_>) {
        match (event, &self.state) {
            (Event::Start(Tag::Heading { level: pulldown_cmark::HeadingLevel::H1, .. }), TitleState::Awaited) => {
                self.state = TitleState::Reading;
            }
            (Event::End(TagEnd::Heading(_)), TitleState::Reading) => self.state = TitleState::Done,
            (Event::Text(text) | Event::Code(text), TitleState::Reading) => self.words.push_str(text),
            (Event::SoftBreak | Event::HardBreak, TitleState::Reading) => self.words.push(' '),
            _ => {}
        }
    }

    fn text(self) -> Option<String> {
        let words = self.words.trim();
        (!words.is_empty()).then(|| words.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(document: &Document) -> Vec<(ElementKind, &str)> {
        document.elements.iter().map(|e| (e.kind, &document.text[e.start..e.end])).collect()
    }

    #[test]
    fn element_ranges_are_ranges_of_the_file() {
        let file = "\u{FEFF}# Grüße *an* alle\r\n\r\nErster\r\nAbsatz.\r\n\r\nZwei\n----\n\n```rust\nfn f() {}\n\n```\n\n\
            | a | b |\n|---|---|\n| 1 | 2 |\n\n> Zitat\n";
        let document = describe(file.to_owned());
        assert_eq!(document.text, file);
        assert_eq!(document.title.as_deref(), Some("Grüße an alle"));
        let labels: Vec<_> = document.elements.iter().filter_map(|element| element.label.as_deref()).collect();
        assert_eq!(labels, ["Grüße an alle", "Zwei"]);
        assert_eq!(
            pieces(&document),
            [
                (ElementKind::Heading { level: 1 }, "# Grüße *an* alle"),
                (ElementKind::Paragraph, "Erster\r\nAbsatz."),
                (ElementKind::Heading { level: 2 }, "Zwei\n----"),
                (ElementKind::Code, "```rust\nfn f() {}\n\n```"),
                (ElementKind::Table, "| a | b |\n|---|---|\n| 1 | 2 |"),
                (ElementKind::Paragraph, "Zitat"),
            ]
        );
    }

    #[test]
    fn headings_have_their_words_as_labels() {
        let text = "## [My Resume](https://example.com) ##\n\n## **Bold** `code` {#id}\n\n# C\\# and F#\n\n## &Uuml;ber\n\n<h2 align=x>H</h2>\n";
        let document = describe(text.to_owned());
        let labels: Vec<_> = document.elements.iter().filter_map(|element| element.label.as_deref()).collect();
        assert_eq!(labels, ["My Resume", "Bold code", "C# and F#", "Über", "H"]);
        assert_eq!(document.elements.last().map(|element| element.kind), Some(ElementKind::Heading { level: 2 }));
    }

    #[test]
    fn escapes_are_resolved_outside_of_code() {
        let text = "# Stra&szlig;e\n\nsnake\\_case `a&amp;b` 2\\*3 R&amp;D.\n\n    x&amp;y\n";
        let document = describe(text.to_owned());
        assert_eq!(document.text, "# Straße\n\nsnake_case `a&amp;b` 2*3 R&D.\n\n    x&amp;y\n");
        assert_eq!(pieces(&document)[1], (ElementKind::Paragraph, "snake_case `a&amp;b` 2*3 R&D."));
    }

    #[test]
    fn nested_items_do_not_overlap() {
        let document = describe("- one\n  - inner\n\n    more\n- two\n\n  para\n\nafter\n".to_owned());
        assert_eq!(
            pieces(&document),
            [
                (ElementKind::ListItem, "- one"),
                (ElementKind::ListItem, "- inner\n\n    more"),
                (ElementKind::ListItem, "- two\n\n  para"),
                (ElementKind::Paragraph, "after"),
            ]
        );
    }

    #[test]
    fn text_after_an_inner_list_is_kept() {
        let document = describe("- one\n  - inner\n\n  tail\n".to_owned());
        assert_eq!(pieces(&document)[2], (ElementKind::Paragraph, "tail"));
    }

    #[test]
    fn front_matter_is_code() {
        let document = describe("---\ntags: [a]\n---\n\nText\n".to_owned());
        assert_eq!(pieces(&document)[0].0, ElementKind::Code);
        assert_eq!(pieces(&document)[1], (ElementKind::Paragraph, "Text"));
        assert_eq!(document.title, None);
    }
}
