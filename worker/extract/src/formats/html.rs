//! Reads web pages as a stream of tags: a tree of a hundred thousand nested elements would overflow the stack.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

use super::builder::{DocumentBuilder, build};
use super::html_main::MainPart;
use super::html_tags::{
    HiddenElement, attribute, begins_quoted_mail, heading_level, is_aside, is_block, is_hidden, is_invisible, is_void,
    text_mode,
};
use super::rows::TableRows;
use crate::{Document, ElementKind, ExtractLimits, FileError};

/// Reads a page's visible text: headings, paragraphs, list items, tables, preformatted text. Navigation and what is outside of the
/// main part stand beside the body.
pub(super) fn read(page: &str, limits: &ExtractLimits) -> Result<Document, FileError> {
    build(limits, |builder| read_into(page, builder))
}

/// Adds the content of a page to a document.
pub(super) fn read_into(page: &str, builder: &mut DocumentBuilder) -> Result<(), FileError> {
    let head = page[..page.floor_char_boundary(1024)].trim_start_matches('\u{FEFF}').trim_start();
    // In XML any tag can close itself.
    let is_xml = head.starts_with("<?xml") || head.contains("http://www.w3.org/1999/xhtml");
    let mut walk = Walk::new(std::mem::take(builder), is_xml);
    walk.main = MainPart::of(page);
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(page));
    let tokenizer = Tokenizer::new(Sink(RefCell::new(walk)), TokenizerOpts::default());
    // The sink never pauses the tokenizer, so one call consumes the whole input.
    let _done = tokenizer.feed(&input);
    tokenizer.end();
    let mut walk = tokenizer.sink.0.into_inner();
    walk.finish_table();
    walk.flush();
    if walk.error.is_none() {
        walk.end_aside();
        walk.end_outside();
    }
    walk.builder.title(&walk.title);
    *builder = walk.builder;
    walk.error.map_or(Ok(()), Err)
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
                let has_text_mode = !matches!(text_mode(&tag.name), TokenSinkResult::Continue);
                walk.start(&tag);
                if !tag.self_closing {
                    return text_mode(&tag.name);
                }
                if (walk.is_xml || has_text_mode) && !is_void(&tag.name) {
                    walk.end(&tag.name);
                }
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

struct Walk {
    builder: DocumentBuilder,
    error: Option<FileError>,
    title: String,
    in_title: bool,
    is_xml: bool,
    /// The open tag of a passage beside the body, and the number of open tags of its name.
    aside: Option<(String, usize)>,
    /// The text of the passage beside the body.
    beside: String,
    main: MainPart,
    /// Whether the main part has content.
    has_main_content: bool,
    /// The blocks outside of the main part.
    outside: Vec<String>,
    /// Open articles and main parts: a foot in them belongs to them.
    articles: usize,
    /// The open reading of a word in another script.
    reading: Option<String>,
    /// The open elements of a formula, and how many each has had.
    formula: Vec<(String, usize)>,
    /// Columns and rows of the open cell.
    spans: (usize, usize),
    /// The open element with invisible content.
    hidden: Option<HiddenElement>,
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
    fn new(builder: DocumentBuilder, is_xml: bool) -> Self {
        Self {
            builder,
            is_xml,
            aside: None,
            beside: String::new(),
            main: MainPart::default(),
            has_main_content: false,
            outside: Vec::new(),
            articles: 0,
            reading: None,
            formula: Vec::new(),
            spans: (1, 1),
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
        } else if let Some(reading) = &mut self.reading {
            reading.push_str(text);
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
        if let Some(hidden) = &mut self.hidden {
            if !hidden.ends_before_begin(tag) {
                return;
            }
            self.hidden = None;
        }
        if is_hidden(name) || (is_invisible(tag) && !is_void(name)) {
            // In HTML only void elements close themselves.
            let is_closed = tag.self_closing && (self.is_xml || name == "svg");
            self.hidden = (!is_closed).then(|| HiddenElement::new(name, self.is_xml));
            if is_block(name) {
                self.flush();
            }
            return;
        }
        if is_invisible(tag) {
            return;
        }
        if self.main.is_begin(tag) {
            self.flush();
        }
        self.main.begin(tag);
        self.start_aside(tag);
        self.start_formula(tag);
        match name {
            "img" | "area" | "input" | "button" | "label" | "select" | "textarea" | "object" | "video" | "audio"
            | "canvas" => {
                self.text(" ");
                let words = match name {
                    "img" | "area" => attribute(tag, "alt"),
                    "input"
                        if attribute(tag, "type").is_some_and(|kind| matches!(kind, "checkbox" | "radio" | "file")) =>
                    {
                        None
                    }
                    "input" => attribute(tag, "value").or_else(|| attribute(tag, "alt")),
                    _ => None,
                };
                if let Some(words) = words {
                    self.text(words);
                    self.text(" ");
                }
            }
            "a" if self.aside.is_some() => self.text(" "),
            "rt" | "rp" => {
                self.end_reading();
                self.reading = Some(String::new());
            }
            "article" | "main" => {
                self.flush();
                self.articles += 1;
            }
            "caption" if self.table.is_some() => self.end_cell(),
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
                        _ => {
                            let span =
                                |name| attribute(tag, name).and_then(|span| span.trim().parse().ok()).unwrap_or(1);
                            // A span of 0 reaches to the end.
                            let rows = span("rowspan");
                            self.spans = (span("colspan"), if rows == 0 { usize::MAX } else { rows });
                            self.in_cell = true;
                        }
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
        if let Some(hidden) = &mut self.hidden {
            if !hidden.ends_before_end(name) {
                if hidden.has_ended() {
                    self.hidden = None;
                }
                return;
            }
            self.hidden = None;
        }
        self.end_formula(name);
        match name {
            "title" => self.in_title = false,
            "button" | "label" | "select" | "textarea" => self.text(" "),
            "rt" | "ruby" | "rp" => self.end_reading(),
            "article" | "main" => {
                self.flush();
                self.articles = self.articles.saturating_sub(1);
            }
            "caption" if matches!(self.table, Some((_, 1))) => {
                let caption = std::mem::take(&mut self.inline);
                self.push(ElementKind::Paragraph, &caption);
            }
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
        self.main.end(name);
        if let Some((aside, depth)) = &mut self.aside
            && aside == name
        {
            *depth -= 1;
            if *depth == 0 {
                self.end_aside();
            }
        }
    }

    /// Begins a passage beside the body, if the tag does.
    fn start_aside(&mut self, tag: &Tag) {
        if let Some((aside, depth)) = &mut self.aside {
            *depth += usize::from(**aside == *tag.name && !tag.self_closing);
            return;
        }
        if tag.self_closing || self.table.is_some() {
            return;
        }
        // No tag has the empty name, which therefore ends with the page.
        let name = if begins_quoted_mail(tag) {
            String::new()
        } else if is_aside(tag, self.articles > 0 || self.main.is_open()) {
            tag.name.to_string()
        } else {
            return;
        };
        self.flush();
        self.aside = Some((name, 1));
    }

    fn end_aside(&mut self) {
        if self.aside.is_none() {
            return;
        }
        self.flush();
        self.aside = None;
        let text = std::mem::take(&mut self.beside);
        if self.error.is_none() {
            self.error = self.builder.aside(&text).err();
        }
    }

    /// Adds what is outside of the main part: beside the body, or as the body if the main part is empty.
    fn end_outside(&mut self) {
        let blocks = std::mem::take(&mut self.outside);
        if self.error.is_some() {
            return;
        }
        let added = match self.has_main_content {
            true => self.builder.aside(&blocks.join("\n")),
            false => blocks.iter().try_for_each(|block| self.builder.push(ElementKind::Paragraph, block)),
        };
        self.error = added.err();
    }

    fn end_reading(&mut self) {
        if let Some(reading) = self.reading.take()
            && self.error.is_none()
            && reading.contains(char::is_alphanumeric)
        {
            self.error = self.builder.aside(&reading).err();
        }
    }

    /// Writes the sign between two parts of a formula.
    fn start_formula(&mut self, tag: &Tag) {
        let name: &str = &tag.name;
        if self.formula.is_empty() && name != "math" {
            return;
        }
        if let Some((parent, children)) = self.formula.last_mut() {
            *children += 1;
            let sign = match (parent.as_str(), *children) {
                ("mfrac", 2) => "/",
                ("msup" | "mover", 2) | ("msubsup" | "munderover", 3) => "^",
                ("msub" | "munder" | "msubsup" | "munderover", 2) => "_",
                _ => "",
            };
            self.inline.push_str(sign);
        }
        if matches!(name, "msqrt" | "mroot") {
            self.inline.push('√');
        }
        if !tag.self_closing && self.formula.len() < 1_000 {
            self.formula.push((name.to_owned(), 0));
        }
    }

    fn end_formula(&mut self, name: &str) {
        if let Some(place) = self.formula.iter().rposition(|(open, _)| open == name) {
            self.formula.truncate(place);
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
                    let (columns, below) = std::mem::replace(&mut self.spans, (1, 1));
                    rows.spanning_cell(&content, columns, below);
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
        if let Some((mut rows, _)) = self.table.take() {
            if self.aside.is_some() || self.main.is_outside() {
                self.push(ElementKind::Table, &rows.text());
            } else if self.error.is_none() {
                self.has_main_content = true;
                self.error = self.builder.table(&mut rows).err();
            }
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
        if self.aside.is_some() {
            self.beside.push_str(text.trim());
            self.beside.push('\n');
            return;
        }
        if self.main.is_outside() {
            self.outside.push(text.trim().to_owned());
            return;
        }
        self.has_main_content = true;
        if self.error.is_none() {
            self.error = self.builder.push(kind, text).err();
        }
    }
}

#[cfg(test)]
mod tests;
