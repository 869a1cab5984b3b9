//! Reads web pages as a stream of tags: a tree of a hundred thousand nested elements would overflow the stack.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

use super::builder::DocumentBuilder;
use super::rows::TableRows;
use crate::{Document, ElementKind, ExtractLimits, FileError};

/// Reads a page's visible text: headings, paragraphs, list items, tables, preformatted text.
pub(super) fn read(page: &str, limits: &ExtractLimits) -> Result<Document, FileError> {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(page));
    let tokenizer = Tokenizer::new(Sink(RefCell::new(Walk::new(limits))), TokenizerOpts::default());
    // The sink never pauses the tokenizer, so one call consumes the whole input.
    let _done = tokenizer.feed(&input);
    tokenizer.end();
    let mut walk = tokenizer.sink.0.into_inner();
    walk.finish_table();
    walk.flush();
    if let Some(error) = walk.error {
        return Err(error);
    }
    walk.builder.title(&walk.title);
    walk.builder.finish("The page has no visible text.")
}

struct Sink(RefCell<Walk>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut walk = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(text) => walk.text(&text),
            Token::TagToken(tag) if tag.kind == TagKind::EndTag => walk.end(&tag.name),
            Token::TagToken(tag) => {
                walk.start(&tag);
                if !tag.self_closing {
                    return text_mode(&tag.name);
                }
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// The tokenizer state after tags whose content is text even if it looks like markup.
fn text_mode(name: &str) -> TokenSinkResult<()> {
    match name {
        "script" => TokenSinkResult::RawData(RawKind::ScriptData),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
        "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
        "plaintext" => TokenSinkResult::Plaintext,
        _ => TokenSinkResult::Continue,
    }
}

struct Walk {
    builder: DocumentBuilder,
    error: Option<FileError>,
    title: String,
    in_title: bool,
    /// The open tag with invisible content, and the number of open tags of its name.
    hidden: Option<(String, usize)>,
    /// The text since the last block boundary.
    inline: String,
    heading: Option<u8>,
    preformatted: usize,
    /// The open lists; an ordered one has the number of its last item.
    lists: Vec<Option<u32>>,
    /// The marker of the next item.
    marker: Option<String>,
    /// The outermost open table and the nesting depth; an inner table is part of its cell's text.
    table: Option<(TableRows, usize)>,
    /// Whether a cell of the outermost table is open.
    in_cell: bool,
}

impl Walk {
    fn new(limits: &ExtractLimits) -> Self {
        Self {
            builder: DocumentBuilder::new(limits),
            error: None,
            title: String::new(),
            in_title: false,
            hidden: None,
            inline: String::new(),
            heading: None,
            preformatted: 0,
            lists: Vec::new(),
            marker: None,
            table: None,
            in_cell: false,
        }
    }

    fn text(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        if self.in_title {
            self.title.push_str(text);
        } else if self.preformatted > 0 {
            self.inline.push_str(text);
        } else {
            for c in text.chars() {
                if !c.is_whitespace() {
                    self.inline.push(c);
                } else if !self.inline.is_empty() && !self.inline.ends_with([' ', '\n']) {
                    self.inline.push(' ');
                }
            }
        }
    }

    fn start(&mut self, tag: &Tag) {
        let name: &str = &tag.name;
        if let Some((hidden, depth)) = &mut self.hidden {
            *depth += usize::from(hidden == name && !tag.self_closing);
            return;
        }
        match name {
            _ if is_hidden(name) => self.hidden = (!tag.self_closing).then(|| (name.to_owned(), 1)),
            "title" => self.in_title = true,
            "br" => self.inline.push('\n'),
            "table" => {
                if self.table.is_none() {
                    self.flush();
                }
                self.table.get_or_insert_with(Default::default).1 += 1;
            }
            "tr" | "td" | "th" => {
                self.end_cell();
                if let Some((rows, 1)) = &mut self.table {
                    match name {
                        "tr" => rows.row(),
                        _ => self.in_cell = true,
                    }
                }
            }
            _ if is_block(name) => {
                self.flush();
                match name {
                    "pre" | "listing" | "xmp" => self.preformatted += 1,
                    "ul" => self.lists.push(None),
                    "ol" => self.lists.push(Some(0)),
                    "li" => self.marker = Some(self.next_marker()),
                    _ => self.heading = heading_level(name),
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        if let Some((hidden, depth)) = &mut self.hidden {
            *depth -= usize::from(hidden == name);
            if *depth == 0 {
                self.hidden = None;
            }
            return;
        }
        match name {
            "title" => self.in_title = false,
            "td" | "th" | "tr" => self.end_cell(),
            "table" => match &mut self.table {
                Some((_, depth)) if *depth > 1 => *depth -= 1,
                _ => self.finish_table(),
            },
            _ if is_block(name) => {
                self.flush();
                match name {
                    "pre" | "listing" | "xmp" => self.preformatted = self.preformatted.saturating_sub(1),
                    "ul" | "ol" => {
                        self.lists.pop();
                    }
                    "li" => self.marker = None,
                    _ => self.heading = None,
                }
            }
            _ => {}
        }
    }

    fn next_marker(&mut self) -> String {
        match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{number}. ")
            }
            _ => "- ".to_owned(),
        }
    }

    fn end_cell(&mut self) {
        match &mut self.table {
            // Text outside of cells, such as a caption, becomes a cell.
            Some((rows, 1)) => {
                let content = std::mem::take(&mut self.inline);
                if std::mem::take(&mut self.in_cell) || !content.trim().is_empty() {
                    rows.cell(&content);
                }
            }
            Some(_) => self.inline.push(' '),
            None => {}
        }
    }

    /// Ends the outermost table and all tables inside of it.
    fn finish_table(&mut self) {
        if let Some((_, depth)) = &mut self.table {
            *depth = 1;
        }
        self.end_cell();
        if let Some((rows, _)) = self.table.take() {
            self.push(ElementKind::Table, &rows.text());
        }
    }

    /// Ends a block: its text becomes an element, or inside of a table stays in its cell.
    fn flush(&mut self) {
        if self.table.is_some() {
            self.inline.push(' ');
            return;
        }
        let text = std::mem::take(&mut self.inline);
        if text.trim().is_empty() {
            return;
        }
        if let Some(level) = self.heading {
            self.push(ElementKind::Heading { level }, &text);
        } else if let Some(marker) = self.marker.take() {
            self.push(ElementKind::ListItem, &format!("{marker}{}", text.trim()));
        } else if self.preformatted > 0 {
            self.push(ElementKind::Code, &text);
        } else {
            self.push(ElementKind::Paragraph, &text);
        }
    }

    fn push(&mut self, kind: ElementKind, text: &str) {
        if self.error.is_none() {
            self.error = self.builder.push(kind, text).err();
        }
    }
}

fn heading_level(name: &str) -> Option<u8> {
    match name {
        "h1" => Some(1),
        "h2" => Some(2),
        "h3" => Some(3),
        "h4" => Some(4),
        "h5" => Some(5),
        "h6" => Some(6),
        _ => None,
    }
}

/// Tags with invisible content.
fn is_hidden(name: &str) -> bool {
    matches!(name, "script" | "style" | "noscript" | "template" | "svg" | "iframe" | "noembed" | "noframes")
}

/// Tags that separate blocks.
fn is_block(name: &str) -> bool {
    heading_level(name).is_some()
        || matches!(
            name,
            "address"
                | "article"
                | "aside"
                | "blockquote"
                | "body"
                | "caption"
                | "center"
                | "dd"
                | "details"
                | "dialog"
                | "div"
                | "dl"
                | "dt"
                | "fieldset"
                | "figcaption"
                | "figure"
                | "footer"
                | "form"
                | "head"
                | "header"
                | "hgroup"
                | "hr"
                | "html"
                | "legend"
                | "li"
                | "listing"
                | "main"
                | "menu"
                | "nav"
                | "ol"
                | "option"
                | "p"
                | "pre"
                | "search"
                | "section"
                | "select"
                | "summary"
                | "ul"
                | "xmp"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(page: &str) -> Document {
        read(page, &ExtractLimits::default()).expect("has text")
    }

    fn pieces(document: &Document) -> Vec<(ElementKind, &str)> {
        document.elements.iter().map(|e| (e.kind, &document.text[e.start..e.end])).collect()
    }

    #[test]
    fn structure_is_kept_and_markup_removed() {
        let document = document(
            "<!doctype html><html><head><title> A &amp; B </title><style>p{}</style><script>if (a<b) '<p>x</p>'</script>\
             </head><body><h2>Gr&uuml;&szlig;e</h2><p>One\n  <b>bold</b>word<br>next&nbsp;line</p>tail\
             <ul><li>a<ol><li>b<li>c</ol><li><p>d</p><p>e</p></ul><pre>\n  x\n   y\n</pre>\
             <svg><text>no</text></svg></body></html>",
        );
        assert_eq!(document.title.as_deref(), Some("A & B"));
        assert_eq!(
            pieces(&document),
            [
                (ElementKind::Heading { level: 2 }, "Grüße"),
                (ElementKind::Paragraph, "One boldword\nnext line"),
                (ElementKind::Paragraph, "tail"),
                (ElementKind::ListItem, "- a"),
                (ElementKind::ListItem, "1. b"),
                (ElementKind::ListItem, "2. c"),
                (ElementKind::ListItem, "- d"),
                (ElementKind::Paragraph, "e"),
                (ElementKind::Code, "  x\n   y"),
            ]
        );
    }

    #[test]
    fn table_is_one_element_with_one_line_per_row() {
        let document = document(
            "<table><caption>Cap</caption><tr><th>a<th>b</tr><tr><td><p>1</p><p>2</p></td>\
             <td><table><tr><td>in<td>ner</table></td></tr></table><p>after",
        );
        assert_eq!(
            pieces(&document),
            [(ElementKind::Table, "Cap\na | b\n1 2 | in ner"), (ElementKind::Paragraph, "after")]
        );
    }

    #[test]
    fn unclosed_table_is_kept() {
        assert_eq!(pieces(&document("<table><tr><td>x")), [(ElementKind::Table, "x")]);
    }
}
