//! Finds the elements of a Markdown file; their ranges are ranges of the file itself, markup included.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::{Document, Element, ElementKind};

/// Finds the blocks of a Markdown text.
pub(super) fn describe(text: String) -> Document {
    // The parser takes a byte order mark for a letter and would miss a heading after it.
    let skip = text.len() - text.trim_start_matches('\u{FEFF}').len();
    let mut blocks = Blocks { text: &text, skip, elements: Vec::new(), item: None };
    let mut title = Title::default();
    // Depth of blocks that are one element as a whole; their content is skipped.
    let mut inside = 0_usize;

    let options = Options::ENABLE_TABLES | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    for (event, range) in Parser::new_ext(&text[skip..], options).into_offset_iter() {
        title.see(&event);
        match event {
            Event::Start(tag) => match whole_block(&tag) {
                Some(kind) => {
                    if inside == 0 {
                        blocks.block(kind, range);
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
                } else if inside == 0 && tag == TagEnd::Item {
                    blocks.end_item(range.end);
                }
            }
            _ => {}
        }
    }
    let elements = blocks.elements;
    Document { title: title.text(), text, elements, page_count: None }
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
            self.elements.push(Element { kind, start, end, page: None });
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
